/* SPDX-License-Identifier: MIT */
/* The guest state with which a vCPU starts (SDM 24.4): the PVH entry, 64-bit mode, or real mode
 * behind a SIPI. */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/panic.h"
#include "vmx/modes.h"
#include "vmx/vcpu.h"
#include "vmx/vmcs.h"

#define ACCESS_CODE      0xc09bu /* 32-bit, 4 GiB, accessed */
#define ACCESS_DATA      0xc093u
#define ACCESS_TSS       0x008bu /* busy */
#define ACCESS_CODE_LONG 0xa099u /* 64-bit, execute-only, accessed */
#define ACCESS_CODE_REAL 0x009bu /* 16-bit, accessed */
#define ACCESS_DATA_REAL 0x0093u
#define ACCESS_LDT       0x0082u
#define LIMIT_REAL       0xffffu
#define DR6_INITIAL      0xffff0ff0ull
#define DR7_INITIAL      0x400ull
#define PAT_INITIAL      0x0007040600070406ull /* SDM Vol. 3A, table 11-12 */
#define FCW_INITIAL      0x37fu
#define MXCSR_INITIAL    0x1f80u
#define FPU_MXCSR        24 /* offset in the FXSAVE area */
#define RDX_RESET        0x600u /* the family, as all Intel processors of today (table 9-1) */

#define SEGMENT(name, selector, base, limit, access)      \
    vmcs_write16(VMCS_GUEST_##name##_SELECTOR, selector); \
    vmcs_writen(VMCS_GUEST_##name##_BASE, base);          \
    vmcs_write32(VMCS_GUEST_##name##_LIMIT, limit);       \
    vmcs_write32(VMCS_GUEST_##name##_ACCESS, access)

static void write_segments_protected(void)
{
    SEGMENT(CS, SELECTOR_CODE, 0, UINT32_MAX, ACCESS_CODE);
    SEGMENT(DS, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(ES, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(SS, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(FS, 0, 0, 0, ACCESS_UNUSABLE);
    SEGMENT(GS, 0, 0, 0, ACCESS_UNUSABLE);
    SEGMENT(LDTR, 0, 0, 0, ACCESS_UNUSABLE);
    SEGMENT(TR, SELECTOR_TSS, 0, sizeof(struct tss) - 1, ACCESS_TSS);
    vmcs_write32(VMCS_GUEST_GDTR_LIMIT, 0);
    vmcs_write32(VMCS_GUEST_IDTR_LIMIT, 0);
}

static void write_segments_long(const struct vmx_long_start *start)
{
    SEGMENT(CS, SELECTOR_CODE, 0, UINT32_MAX, ACCESS_CODE_LONG);
    SEGMENT(DS, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(ES, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(SS, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(FS, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(GS, SELECTOR_DATA, 0, UINT32_MAX, ACCESS_DATA);
    SEGMENT(LDTR, 0, 0, 0, ACCESS_UNUSABLE);
    SEGMENT(TR, 0, 0, 0, ACCESS_TSS);
    vmcs_writen(VMCS_GUEST_GDTR_BASE, start->gdt);
    vmcs_write32(VMCS_GUEST_GDTR_LIMIT, start->gdt_limit);
    vmcs_write32(VMCS_GUEST_IDTR_LIMIT, 0);
}

static void write_segments_real(uint8_t page)
{
    SEGMENT(CS, (uint16_t)(page << 8), (uint64_t)page << 12, LIMIT_REAL, ACCESS_CODE_REAL);
    SEGMENT(DS, 0, 0, LIMIT_REAL, ACCESS_DATA_REAL);
    SEGMENT(ES, 0, 0, LIMIT_REAL, ACCESS_DATA_REAL);
    SEGMENT(SS, 0, 0, LIMIT_REAL, ACCESS_DATA_REAL);
    SEGMENT(FS, 0, 0, LIMIT_REAL, ACCESS_DATA_REAL);
    SEGMENT(GS, 0, 0, LIMIT_REAL, ACCESS_DATA_REAL);
    SEGMENT(LDTR, 0, 0, LIMIT_REAL, ACCESS_LDT);
    SEGMENT(TR, 0, 0, LIMIT_REAL, ACCESS_TSS);
    vmcs_write32(VMCS_GUEST_GDTR_LIMIT, LIMIT_REAL);
    vmcs_write32(VMCS_GUEST_IDTR_LIMIT, LIMIT_REAL);
}

/* What both have in common. */
static void reset_state(struct vmx_vcpu *v)
{
    memset(v->gpr, 0, sizeof v->gpr);
    memset(v->dr, 0, sizeof v->dr);
    memset(vcpu_fpu(v), 0, VMX_FPU_SIZE);
    memcpy(vcpu_fpu(v), &(uint16_t){FCW_INITIAL}, sizeof(uint16_t));
    memcpy(vcpu_fpu(v) + FPU_MXCSR, &(uint32_t){MXCSR_INITIAL}, sizeof(uint32_t));
    v->cr2 = v->cr3 = v->cr4 = v->cr8 = v->efer = 0;
    v->star = v->lstar = v->cstar = v->fmask = v->kernel_gs_base = v->tsc_aux = 0;
    v->dr6 = DR6_INITIAL;
    v->xcr0 = XCR0_X87;
    v->event = 0;
    v->inject = false;
    v->in_nmi = false;
    v->flush = true;

    vmcs_writen(VMCS_GUEST_GDTR_BASE, 0);
    vmcs_writen(VMCS_GUEST_IDTR_BASE, 0);
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
    if (vmx_apicv())
        vmcs_write16(VMCS_GUEST_INTERRUPT_STATUS, 0);
}

void vmx_start_protected(struct vmx_vcpu *v, gpa_t entry, uint32_t ebx)
{
    struct vmcs *before = this_cpu()->vmcs_current;
    vmcs_load(&v->vmcs);
    reset_state(v);
    write_segments_protected();
    v->cr0 = CR0_PE | CR0_ET;
    modes_write(v);
    v->gpr[VMX_RBX] = ebx;
    vmcs_writen(VMCS_GUEST_RIP, entry.value);
    vmcs_restore(before);
}

void vmx_start_long(struct vmx_vcpu *v, const struct vmx_long_start *start)
{
    struct vmcs *before = this_cpu()->vmcs_current;
    vmcs_load(&v->vmcs);
    reset_state(v);
    write_segments_long(start);
    v->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    v->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    v->efer = EFER_LME | EFER_LMA;
    v->cr3 = start->cr3;
    modes_write(v);
    v->gpr[VMX_RDI] = start->rdi;
    vmcs_writen(VMCS_GUEST_RSP, start->rsp);
    vmcs_writen(VMCS_GUEST_RIP, start->entry);
    vmcs_restore(before);
}

void vmx_start_real(struct vmx_vcpu *v, uint8_t page)
{
    if (!v->unrestricted)
        panic("real mode without \"unrestricted guest\"");
    struct vmcs *before = this_cpu()->vmcs_current;
    vmcs_load(&v->vmcs);
    reset_state(v);
    write_segments_real(page);
    v->cr0 = CR0_CD | CR0_NW | CR0_ET;
    modes_write(v);
    v->gpr[VMX_RDX] = RDX_RESET;
    vmcs_writen(VMCS_GUEST_RIP, 0);
    vmcs_restore(before);
}
