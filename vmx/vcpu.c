/* SPDX-License-Identifier: MIT */
/* A vCPU's VMCS from its first field to its last, and its way onto a processor and off it.
 * Controls: SDM 24.6 to 24.8; host state: 24.5; guest state: 24.4. */
#include <linux/errno.h>
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"
#include "vmx/invalidate.h"
#include "vmx/modes.h"
#include "vmx/msr_bitmap.h"
#include "vmx/processor.h"
#include "vmx/vmcs.h"

#define ACCESS_CODE      0xc09bu /* 32-bit, 4 GiB, accessed */
#define ACCESS_DATA      0xc093u
#define ACCESS_TSS       0x008bu /* busy */
#define DR6_INITIAL      0xffff0ff0ull
#define DR7_INITIAL      0x400ull
#define PAT_INITIAL      0x0007040600070406ull /* SDM Vol. 3A, table 11-12 */
#define FCW_INITIAL      0x37fu
#define MXCSR_INITIAL    0x1f80u
#define FPU_MXCSR        24 /* offset in the FXSAVE area */
#define PLE_GAP_TICKS    128
#define PLE_WINDOW_TICKS 4096

/* All MSRs that a guest reaches without an exit. The first group is guest state in the VMCS, the
 * second is switched with the vCPU (struct vmx_vcpu). */
static const uint32_t open_msrs[] = {
    MSR_FS_BASE, MSR_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
    MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE,
    MSR_TSC_AUX, /* the last one: absent where there is no RDTSCP */
};

static const uint32_t required[VMX_CONTROL_WORDS] = {
    [VMX_PIN] = PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING,
    [VMX_PROCESSOR] = PROC_HLT_EXITING | PROC_MWAIT_EXITING | PROC_MONITOR_EXITING |
                      PROC_RDPMC_EXITING | PROC_TSC_OFFSETTING | PROC_CR8_LOAD_EXITING |
                      PROC_CR8_STORE_EXITING | PROC_UNCONDITIONAL_IO_EXITING | PROC_MSR_BITMAPS |
                      PROC_SECONDARY_CONTROLS,
    [VMX_SECONDARY] = SEC_EPT,
    [VMX_EXIT] = EXITC_HOST_64BIT | EXITC_ACKNOWLEDGE_INTERRUPT | EXITC_SAVE_EFER |
                 EXITC_LOAD_EFER | EXITC_SAVE_PAT | EXITC_LOAD_PAT | EXITC_SAVE_DEBUG,
    [VMX_ENTRY] = ENTRYC_LOAD_EFER | ENTRYC_LOAD_PAT | ENTRYC_LOAD_DEBUG,
};

static const uint32_t wanted[VMX_CONTROL_WORDS] = {
    [VMX_PIN] = PIN_PREEMPTION_TIMER,
    [VMX_SECONDARY] = SEC_VPID | SEC_UNRESTRICTED_GUEST | SEC_RDTSCP | SEC_INVPCID |
                      SEC_WBINVD_EXITING | SEC_RDRAND_EXITING | SEC_RDSEED_EXITING |
                      SEC_PAUSE_LOOP_EXITING | SEC_ENCLS_EXITING,
};

void vmx_exit(void); /* enter.asm */

static bool has_tsc_aux(void)
{
    return cpuid(0x80000001, 0).edx & CPUID_81_EDX_RDTSCP;
}

static uint8_t *msr_bitmap(void)
{
    static struct spinlock lock;
    static uint8_t *bitmap; /* one for all: no guest is allowed more than another */
    size_t count = ARRAY_SIZE(open_msrs) - (has_tsc_aux() ? 0 : 1);
    spin_lock(&lock);
    if (!bitmap) {
        bitmap = page_alloc();
        if (bitmap && msr_bitmap_build(bitmap, open_msrs, count))
            panic("an MSR that no bitmap can open is on the allow-list");
    }
    spin_unlock(&lock);
    return bitmap;
}

static int write_controls(struct vmx_vcpu *v, uint8_t *bitmap, char error[VMX_ERROR_MAX])
{
    static const enum vmcs_field32 fields[VMX_CONTROL_WORDS] = {
        VMCS_PIN_CONTROLS, VMCS_PROCESSOR_CONTROLS, VMCS_SECONDARY_CONTROLS, VMCS_EXIT_CONTROLS,
        VMCS_ENTRY_CONTROLS};
    uint32_t value[VMX_CONTROL_WORDS];
    for (unsigned word = 0; word < VMX_CONTROL_WORDS; word++) {
        int status = vmx_controls_resolve(&vmx_common, word, required[word], wanted[word],
                                          &value[word], error);
        if (status)
            return status;
    }
    const struct vmx_features *f = &vmx_common_features;
    if (v->vpid == 0 || !(f->invvpid_single || f->invvpid_all)) /* no way to flush: no VPID */
        value[VMX_SECONDARY] &= ~(uint32_t)SEC_VPID;
    if (!(value[VMX_SECONDARY] & SEC_VPID))
        v->vpid = 0;
    v->unrestricted = value[VMX_SECONDARY] & SEC_UNRESTRICTED_GUEST;
    for (unsigned word = 0; word < VMX_CONTROL_WORDS; word++)
        vmcs_write32(fields[word], value[word]);

    if (v->vpid)
        vmcs_write16(VMCS_VPID, v->vpid);
    if (value[VMX_SECONDARY] & SEC_PAUSE_LOOP_EXITING) {
        vmcs_write32(VMCS_PLE_GAP, PLE_GAP_TICKS);
        vmcs_write32(VMCS_PLE_WINDOW, PLE_WINDOW_TICKS);
    }
    if (value[VMX_SECONDARY] & SEC_ENCLS_EXITING)
        vmcs_write64(VMCS_ENCLS_EXITING_BITMAP, ~0ull);
    vmcs_write64(VMCS_MSR_BITMAPS, virt_to_phys(bitmap).value);
    vmcs_write64(VMCS_EPT_POINTER, vmx_ept_pointer(v->ept));
    vmcs_write64(VMCS_TSC_OFFSET, v->tsc_offset);
    vmcs_write64(VMCS_VMCS_LINK_POINTER, ~0ull);
    /* #DB and #AC can be raised without end inside an exception delivery; nothing but an exit
     * breaks that loop (CVE-2015-8104, CVE-2015-5307). #MC is the host's. */
    vmcs_write32(VMCS_EXCEPTION_BITMAP, BIT(EXCEPTION_DB) | BIT(EXCEPTION_AC) | BIT(EXCEPTION_MC));
    vmcs_write32(VMCS_PAGE_FAULT_ERROR_MASK, 0);
    vmcs_write32(VMCS_PAGE_FAULT_ERROR_MATCH, 0);
    vmcs_write32(VMCS_ENTRY_INTERRUPTION_INFO, 0);
    vmcs_write32(VMCS_CR3_TARGET_COUNT, 0);
    vmcs_write32(VMCS_EXIT_MSR_STORE_COUNT, 0);
    vmcs_write32(VMCS_EXIT_MSR_LOAD_COUNT, 0);
    vmcs_write32(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
    return 0;
}

static void write_segments(void)
{
#define SEGMENT(name, selector, limit, access)           \
    vmcs_write16(VMCS_GUEST_##name##_SELECTOR, selector); \
    vmcs_writen(VMCS_GUEST_##name##_BASE, 0);            \
    vmcs_write32(VMCS_GUEST_##name##_LIMIT, limit);      \
    vmcs_write32(VMCS_GUEST_##name##_ACCESS, access)
    SEGMENT(CS, SELECTOR_CODE, UINT32_MAX, ACCESS_CODE);
    SEGMENT(DS, SELECTOR_DATA, UINT32_MAX, ACCESS_DATA);
    SEGMENT(ES, SELECTOR_DATA, UINT32_MAX, ACCESS_DATA);
    SEGMENT(SS, SELECTOR_DATA, UINT32_MAX, ACCESS_DATA);
    SEGMENT(FS, 0, 0, ACCESS_UNUSABLE);
    SEGMENT(GS, 0, 0, ACCESS_UNUSABLE);
    SEGMENT(LDTR, 0, 0, ACCESS_UNUSABLE);
    SEGMENT(TR, SELECTOR_TSS, sizeof(struct tss) - 1, ACCESS_TSS);
#undef SEGMENT
    vmcs_writen(VMCS_GUEST_GDTR_BASE, 0);
    vmcs_write32(VMCS_GUEST_GDTR_LIMIT, 0);
    vmcs_writen(VMCS_GUEST_IDTR_BASE, 0);
    vmcs_write32(VMCS_GUEST_IDTR_LIMIT, 0);
}

/* The PVH entry state (Xen's docs/misc/pvh.pandoc). */
static void write_guest_state(struct vmx_vcpu *v, gpa_t entry)
{
    write_segments();
    v->cr0 = CR0_PE | CR0_ET;
    v->cr3 = v->cr4 = v->efer = 0;
    modes_write(v);
    vmcs_writen(VMCS_GUEST_RIP, entry.value);
    vmcs_writen(VMCS_GUEST_RSP, 0);
    vmcs_writen(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
    vmcs_writen(VMCS_GUEST_DR7, DR7_INITIAL);
    vmcs_write64(VMCS_GUEST_DEBUGCTL, 0);
    vmcs_write64(VMCS_GUEST_PAT, PAT_INITIAL);
    vmcs_write32(VMCS_GUEST_SYSENTER_CS, 0);
    vmcs_writen(VMCS_GUEST_SYSENTER_ESP, 0);
    vmcs_writen(VMCS_GUEST_SYSENTER_EIP, 0);
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmcs_write32(VMCS_GUEST_ACTIVITY, 0);
    vmcs_writen(VMCS_GUEST_PENDING_DEBUG, 0);
    vmcs_write64(VMCS_GUEST_PDPTE0, 0);
    vmcs_write64(VMCS_GUEST_PDPTE1, 0);
    vmcs_write64(VMCS_GUEST_PDPTE2, 0);
    vmcs_write64(VMCS_GUEST_PDPTE3, 0);
}

/* Host state that is the same on every processor. */
static void write_host_state(void)
{
    vmcs_write16(VMCS_HOST_CS_SELECTOR, SELECTOR_CODE);
    vmcs_write16(VMCS_HOST_SS_SELECTOR, SELECTOR_DATA);
    vmcs_write16(VMCS_HOST_DS_SELECTOR, SELECTOR_DATA);
    vmcs_write16(VMCS_HOST_ES_SELECTOR, SELECTOR_DATA);
    vmcs_write16(VMCS_HOST_FS_SELECTOR, 0);
    vmcs_write16(VMCS_HOST_GS_SELECTOR, 0);
    vmcs_write16(VMCS_HOST_TR_SELECTOR, SELECTOR_TSS);
    vmcs_write64(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmcs_write64(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmcs_write32(VMCS_HOST_SYSENTER_CS, 0);
    vmcs_writen(VMCS_HOST_SYSENTER_ESP, 0);
    vmcs_writen(VMCS_HOST_SYSENTER_EIP, 0);
    vmcs_writen(VMCS_HOST_FS_BASE, 0);
    vmcs_writen(VMCS_HOST_CR3, paging_root());
    vmcs_writen(VMCS_HOST_RIP, (uint64_t)vmx_exit);
}

/* Host state of this very processor: rewritten on every bind (contract 1). */
static void write_host_bases(struct vmx_vcpu *v)
{
    struct cpu *cpu = this_cpu();
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr;
    __asm__ volatile("sidt %0" : "=m"(idtr));
    vmcs_writen(VMCS_HOST_CR0, read_cr0());
    vmcs_writen(VMCS_HOST_CR4, read_cr4());
    vmcs_writen(VMCS_HOST_GS_BASE, (uint64_t)cpu);
    vmcs_writen(VMCS_HOST_TR_BASE, (uint64_t)&cpu->tss);
    vmcs_writen(VMCS_HOST_GDTR_BASE, (uint64_t)cpu->gdt);
    vmcs_writen(VMCS_HOST_IDTR_BASE, idtr.base);
    v->host_rsp = 0; /* enter.asm writes HOST_RSP when it differs from this */
}

static int create_fpu(struct vmx_vcpu *v)
{
    uint8_t *area = page_alloc();
    if (!area)
        return -ENOMEM;
    *(uint16_t *)area = FCW_INITIAL;
    *(uint32_t *)(area + FPU_MXCSR) = MXCSR_INITIAL;
    v->fpu = area;
    return 0;
}

int vmx_vcpu_create(struct vmx_vcpu *v, struct ept *ept, uint16_t vpid, gpa_t entry,
                    gpa_t start_info, char error[VMX_ERROR_MAX])
{
    *v = (struct vmx_vcpu){.ept = ept, .vpid = vpid, .flush = true, .dr6 = DR6_INITIAL,
                           .xcr0 = XCR0_X87, .tsc_offset = -rdtsc(),
                           .vmcs.cpu = VMCS_NOT_LOADED};
    v->gpr[VMX_RBX] = start_info.value;
    snprintf(error, VMX_ERROR_MAX, "no memory for a vCPU");
    uint8_t *bitmap = msr_bitmap();
    if (!bitmap || create_fpu(v) || vmcs_create(&v->vmcs, vmx_common_features.revision)) {
        vmx_vcpu_destroy(v);
        return -ENOMEM;
    }
    vmcs_load(&v->vmcs);
    int status = write_controls(v, bitmap, error);
    if (!status && !v->unrestricted) {
        const void *map = modes_identity_map();
        status = map ? ept_map(ept, GPA(IDENTITY_MAP_GPA), virt_to_phys(map), FRAME_ORDER_4K,
                               EPT_READ, EPT_WB)
                     : -ENOMEM;
    }
    if (!status) {
        write_guest_state(v, entry);
        write_host_state();
    }
    vmcs_clear(&v->vmcs);
    if (status)
        vmx_vcpu_destroy(v);
    return status;
}

void vmx_vcpu_destroy(struct vmx_vcpu *v)
{
    struct ept_leaf leaf; /* of the identity map, whose page is everyone's and stays */
    if (v->vmcs.region && !v->unrestricted)
        (void)!ept_unmap(v->ept, GPA(IDENTITY_MAP_GPA), &leaf);
    vmcs_destroy(&v->vmcs);
    if (v->fpu)
        page_free(v->fpu);
    v->fpu = NULL;
}

static void fpu_load(const struct vmx_vcpu *v)
{
    uint64_t all = cpu_xcr0_supported();
    if (!all) {
        __asm__ volatile("fxrstor64 %0" : : "m"(*(const char(*)[512])v->fpu));
        return;
    }
    __asm__ volatile("xrstor64 (%0)" : : "r"(v->fpu), "a"((uint32_t)all), "d"(0) : "memory");
    xsetbv(0, v->xcr0);
}

static void fpu_save(struct vmx_vcpu *v)
{
    uint64_t all = cpu_xcr0_supported();
    if (!all) {
        __asm__ volatile("fxsave64 %0" : "=m"(*(char(*)[512])v->fpu));
        return;
    }
    xsetbv(0, all);
    __asm__ volatile("xsave64 (%0)" : : "r"(v->fpu), "a"((uint32_t)all), "d"(0) : "memory");
}

void vmx_bind(struct vmx_vcpu *v)
{
    vmcs_load(&v->vmcs);
    write_host_bases(v);
    fpu_load(v);
    write_cr2(v->cr2);
    write_dr0(v->dr[0]);
    write_dr1(v->dr[1]);
    write_dr2(v->dr[2]);
    write_dr3(v->dr[3]);
    write_dr6(v->dr6);
    wrmsr(MSR_STAR, v->star);
    wrmsr(MSR_LSTAR, v->lstar);
    wrmsr(MSR_CSTAR, v->cstar);
    wrmsr(MSR_FMASK, v->fmask);
    wrmsr(MSR_KERNEL_GS_BASE, v->kernel_gs_base);
    if (has_tsc_aux())
        wrmsr(MSR_TSC_AUX, v->tsc_aux);
}

void vmx_unbind(struct vmx_vcpu *v)
{
    v->star = rdmsr(MSR_STAR);
    v->lstar = rdmsr(MSR_LSTAR);
    v->cstar = rdmsr(MSR_CSTAR);
    v->fmask = rdmsr(MSR_FMASK);
    v->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
    if (has_tsc_aux())
        v->tsc_aux = rdmsr(MSR_TSC_AUX);
    v->dr[0] = read_dr0();
    v->dr[1] = read_dr1();
    v->dr[2] = read_dr2();
    v->dr[3] = read_dr3();
    v->dr6 = read_dr6();
    v->cr2 = read_cr2();
    fpu_save(v);
    vmcs_clear(&v->vmcs);
}
