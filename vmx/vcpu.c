/* SPDX-License-Identifier: MIT */
/* A vCPU's VMCS but for the guest state, and its way onto a processor and off it. Controls:
 * SDM 24.6 to 24.8; host state: 24.5. */
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
#include "vmx/event.h"
#include "vmx/invalidate.h"
#include "vmx/modes.h"
#include "vmx/msr_bitmap.h"
#include "vmx/processor.h"
#include "vmx/vcpu.h"
#include "vmx/vmcs.h"

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
    [VMX_PIN] = PIN_PREEMPTION_TIMER | PIN_VIRTUAL_NMIS,
    [VMX_SECONDARY] = SEC_VPID | SEC_UNRESTRICTED_GUEST | SEC_RDTSCP | SEC_INVPCID |
                      SEC_WBINVD_EXITING | SEC_RDRAND_EXITING | SEC_RDSEED_EXITING |
                      SEC_PAUSE_LOOP_EXITING | SEC_ENCLS_EXITING,
    [VMX_EXIT] = EXITC_SAVE_PREEMPTION_TIMER,
};

#define APICV_SECONDARY (SEC_VIRTUALIZE_X2APIC | SEC_APIC_REGISTER_VIRTUALIZATION | \
                         SEC_VIRTUAL_INTERRUPT_DELIVERY)
#define CR8_EXITS       (PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING)

/* x2APIC registers that a guest reads from its virtual-APIC page: all that there are but the
 * current count, which nobody writes there (SDM Vol. 3A, table 10-6). */
static const struct {
    uint16_t first, last;
} apic_reads[] = {
    {0x802, 0x803}, {0x808, 0x808}, {0x80a, 0x80a}, {0x80d, 0x80d}, {0x80f, 0x828},
    {0x830, 0x830}, {0x832, 0x838}, {0x83e, 0x83e},
};

/* Those whose writes the processor carries out: TPR, EOI, self-IPI (SDM 29.5). */
static const uint16_t apic_writes[] = {0x808, 0x80b, 0x83f};

void vmx_exit(void); /* enter.asm */

static bool has_tsc_aux(void)
{
    return cpuid(0x80000001, 0).edx & CPUID_81_EDX_RDTSCP;
}

static int open_apic(uint8_t *bitmap)
{
    for (unsigned i = 0; i < ARRAY_SIZE(apic_reads); i++)
        for (uint32_t msr = apic_reads[i].first; msr <= apic_reads[i].last; msr++)
            if (msr_bitmap_open(bitmap, msr, true, false))
                return -EINVAL;
    for (unsigned i = 0; i < ARRAY_SIZE(apic_writes); i++)
        if (msr_bitmap_open(bitmap, apic_writes[i], false, true))
            return -EINVAL;
    return 0;
}

/* One for all vCPUs that have APIC virtualisation, one for all others: no guest is allowed more
 * than another. */
static uint8_t *msr_bitmap(bool apicv)
{
    static struct spinlock lock;
    static uint8_t *bitmaps[2];
    uint8_t **bitmap = &bitmaps[apicv];
    size_t count = ARRAY_SIZE(open_msrs) - (has_tsc_aux() ? 0 : 1);
    spin_lock(&lock);
    if (!*bitmap) {
        *bitmap = page_alloc();
        if (*bitmap && (msr_bitmap_build(*bitmap, open_msrs, count) ||
                        (apicv && open_apic(*bitmap))))
            panic("an MSR that no bitmap can open is on the allow-list");
    }
    spin_unlock(&lock);
    return *bitmap;
}

/* The processor works on the virtual-APIC page; no EOI exits, since no interrupt is
 * level-triggered. The TPR shadow takes the place of exits by CR8. */
static void use_apicv(struct vmx_vcpu *v, uint32_t value[VMX_CONTROL_WORDS])
{
    value[VMX_PROCESSOR] = (value[VMX_PROCESSOR] & ~(uint32_t)CR8_EXITS) | PROC_TPR_SHADOW;
    value[VMX_SECONDARY] |= APICV_SECONDARY;
    vmcs_write64(VMCS_VIRTUAL_APIC_ADDRESS, virt_to_phys(v->apic_page).value);
    vmcs_write32(VMCS_TPR_THRESHOLD, 0);
    vmcs_write64(VMCS_EOI_EXIT_BITMAP_0, 0);
    vmcs_write64(VMCS_EOI_EXIT_BITMAP_1, 0);
    vmcs_write64(VMCS_EOI_EXIT_BITMAP_2, 0);
    vmcs_write64(VMCS_EOI_EXIT_BITMAP_3, 0);
    vmcs_write16(VMCS_GUEST_INTERRUPT_STATUS, 0);
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
    if (vmx_apicv())
        use_apicv(v, value);
    if (!(value[VMX_PIN] & PIN_PREEMPTION_TIMER))
        value[VMX_EXIT] &= ~(uint32_t)EXITC_SAVE_PREEMPTION_TIMER;
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

/* Host state of this very processor: rewritten whenever the VMCS comes to another one (contract 1).
 */
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

static int map_identity(const struct vmx_vcpu *v)
{
    struct ept_leaf leaf;
    if (v->unrestricted || !ept_walk(v->ept, GPA(IDENTITY_MAP_GPA), &leaf))
        return 0; /* not needed, or a vCPU of the same VM has mapped it */
    const void *map = modes_identity_map();
    if (!map)
        return -ENOMEM;
    return ept_map(v->ept, GPA(IDENTITY_MAP_GPA), virt_to_phys(map), FRAME_ORDER_4K, EPT_READ,
                   EPT_WB);
}

int vmx_vcpu_create(struct vmx_vcpu *v, struct ept *ept, struct frame_pool *pool, uint16_t vpid,
                    uint64_t tsc_offset, char error[VMX_ERROR_MAX])
{
    memset(v, 0, sizeof *v);
    v->ept = ept;
    v->pool = pool;
    v->vpid = vpid;
    v->tsc_offset = tsc_offset;
    v->vmcs.cpu = v->last_cpu = VMCS_NOT_LOADED;
    snprintf(error, VMX_ERROR_MAX, "no memory for a vCPU");
    uint8_t *bitmap = msr_bitmap(vmx_apicv());
    v->apic_page = frame_pool_page(pool);
    if (!bitmap || !v->apic_page ||
        vmcs_create(&v->vmcs, pool, vmx_common_features.revision)) {
        vmx_vcpu_destroy(v);
        return -ENOMEM;
    }
    struct vmcs *before = this_cpu()->vmcs_current;
    vmcs_load(&v->vmcs);
    int status = write_controls(v, bitmap, error);
    if (!status)
        status = map_identity(v);
    if (!status)
        write_host_state();
    vmcs_clear(&v->vmcs);
    vmcs_restore(before);
    if (status)
        vmx_vcpu_destroy(v);
    return status;
}

void vmx_vcpu_destroy(struct vmx_vcpu *v)
{
    vmcs_destroy(&v->vmcs, v->pool);
    if (v->apic_page)
        frame_pool_free_page(v->pool, v->apic_page);
    v->apic_page = NULL;
}

static void fpu_load(const struct vmx_vcpu *v)
{
    uint64_t all = cpu_xcr0_supported();
    if (!all) {
        __asm__ volatile("fxrstor64 %0" : : "m"(*(const char(*)[512])vcpu_fpu(v)));
        return;
    }
    __asm__ volatile("xrstor64 (%0)" : : "r"(vcpu_fpu(v)), "a"((uint32_t)all), "d"(0) : "memory");
    xsetbv(0, v->xcr0);
}

static void fpu_save(struct vmx_vcpu *v)
{
    uint64_t all = cpu_xcr0_supported();
    if (!all) {
        __asm__ volatile("fxsave64 %0" : "=m"(*(char(*)[512])vcpu_fpu(v)));
        return;
    }
    xsetbv(0, all);
    __asm__ volatile("xsave64 (%0)" : : "r"(vcpu_fpu(v)), "a"((uint32_t)all), "d"(0) : "memory");
}

/* Cores whose TSCs are apart must not turn a guest's time back: what a core lags behind is added to
 * the offset (SDM Vol. 3B, 17.17.3: they run in step on all but odd machines). */
static void keep_time(struct vmx_vcpu *v)
{
    uint64_t now = rdtsc();
    if (now >= v->last_tsc)
        return;
    v->tsc_offset += v->last_tsc - now;
    vmcs_write64(VMCS_TSC_OFFSET, v->tsc_offset);
}

/* On another processor than last time. What that one has cached of this vCPU from an earlier stay
 * may be stale. */
static void arrive(struct vmx_vcpu *v)
{
    write_host_bases(v);
    keep_time(v);
    v->flush = true;
    v->last_cpu = this_cpu()->index;
}

void vmx_bind(struct vmx_vcpu *v)
{
    vmcs_load(&v->vmcs);
    if (v->last_cpu != this_cpu()->index)
        arrive(v);
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

void vcpu_save_registers(struct vmx_vcpu *v)
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
}

void vmx_unbind(struct vmx_vcpu *v)
{
    vmx_look_after_nmis(v);
    vcpu_save_registers(v);
    fpu_save(v);
    v->last_tsc = rdtsc();
}

void vmx_unload(struct vmx_vcpu *v)
{
    if (v->vmcs.cpu == this_cpu()->index)
        vmcs_clear(&v->vmcs);
}
