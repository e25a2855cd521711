/* SPDX-License-Identifier: MIT */
/* What a handler does to a guest between exit and entry: skip, inject, reflect, redeliver (SDM 26.5
 * event injection, 27.2.4 IDT-vectoring information), and questions about its state. */
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "vmx/vmcs.h"

#define INFO_NMI_UNBLOCKED BIT(12) /* undefined in IDT-vectoring information: never copied */
#define DR6_DB_BITS        0xe00full /* B0-B3, BD, BS, BT; the exit qualification has the same */
#define DR7_GD             BIT(13)

/* Vectors that push an error code (SDM Vol. 3A, 6.13). */
#define WITH_ERROR_CODE (BIT(EXCEPTION_DF) | BIT(EXCEPTION_TS) | BIT(EXCEPTION_NP) | \
                         BIT(EXCEPTION_SS) | BIT(EXCEPTION_GP) | BIT(EXCEPTION_PF) | \
                         BIT(EXCEPTION_AC) | BIT(EXCEPTION_CP))

/* A guest that single-steps gets its #DB behind the instruction that was carried out for it. The
 * shadow of STI or MOV SS ends with that instruction too, but only with TF does that need a write:
 * without it a stale shadow delays an interrupt by one instruction at most. */
static void complete_single_step(void)
{
    uint32_t shadow = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, shadow & ~(BLOCKING_STI | BLOCKING_MOV_SS));
    vmcs_writen(VMCS_GUEST_PENDING_DEBUG, vmcs_readn(VMCS_GUEST_PENDING_DEBUG) | PENDING_BS);
}

void vmx_skip_instruction(struct vmx_vcpu *v, const struct vm_exit *exit)
{
    uint64_t rip = exit->rip + exit->length;
    if (__builtin_expect(rip > UINT32_MAX, 0) && !vmx_in_64bit_mode(v))
        rip = (uint32_t)rip; /* EIP wraps */
    vmcs_writen(VMCS_GUEST_RIP, rip);
    if (__builtin_expect((vmcs_readn(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0, 0))
        complete_single_step();
}

void vmx_inject_exception(struct vmx_vcpu *v, unsigned vector, uint32_t error_code)
{
    /* Not v->cr0: an unrestricted guest changes PE without an exit. */
    bool protected_mode = vmcs_readn(VMCS_GUEST_CR0) & CR0_PE;
    bool with_error = (WITH_ERROR_CODE >> vector & 1) && protected_mode;
    v->event = INFO_VALID | EVENT_HARDWARE_EXCEPTION << INFO_TYPE_SHIFT | vector;
    if (with_error)
        v->event |= INFO_ERROR_CODE | (uint64_t)error_code << 32;
    v->event_length = 0;
}

void vmx_reflect_exception(struct vmx_vcpu *v, const struct vm_exit *exit)
{
    unsigned vector = exit->interruption_info & INFO_VECTOR;
    if (vector == EXCEPTION_DB) { /* an intercepted #DB leaves DR6 and DR7 unchanged (27.1) */
        write_dr6((read_dr6() & ~DR6_DB_BITS) | (exit->qualification & DR6_DB_BITS));
        vmcs_writen(VMCS_GUEST_DR7, vmcs_readn(VMCS_GUEST_DR7) & ~DR7_GD);
        /* With TF and a shadow, an entry needs BS pending (SDM 26.3.1.5), which the intercepted #DB
         * has not left (as in XSA-308). */
        if ((vmcs_readn(VMCS_GUEST_RFLAGS) & RFLAGS_TF) &&
            (vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS)))
            vmcs_writen(VMCS_GUEST_PENDING_DEBUG,
                        vmcs_readn(VMCS_GUEST_PENDING_DEBUG) | PENDING_BS);
    }
    v->event = (exit->interruption_info & ~(uint32_t)INFO_NMI_UNBLOCKED) |
               (uint64_t)exit->error_code << 32;
    v->event_length = exit->length;
}

void vmx_redeliver_event(struct vmx_vcpu *v, const struct vm_exit *exit)
{
    if (!(exit->idt_vectoring_info & INFO_VALID) || v->event)
        return; /* an exception that the delivery itself raised comes first */
    v->event = (exit->idt_vectoring_info & ~(uint32_t)INFO_NMI_UNBLOCKED) |
               (uint64_t)exit->idt_vectoring_error << 32;
    enum event_type type = INFO_TYPE(exit->idt_vectoring_info);
    bool software = type == EVENT_SOFTWARE_INTERRUPT || type == EVENT_SOFTWARE_EXCEPTION ||
                    type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION;
    v->event_length = software ? vmcs_read32(VMCS_EXIT_INSTRUCTION_LENGTH) : 0;
}

void vmx_unblock_nmis(struct vmx_vcpu *v)
{
    (void)v;
    uint32_t blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~BLOCKING_NMI);
}

unsigned vmx_cpl(const struct vmx_vcpu *v)
{
    (void)v;
    return ACCESS_DPL(vmcs_read32(VMCS_GUEST_SS_ACCESS)); /* SDM 24.4.1: the CPL */
}

bool vmx_in_64bit_mode(const struct vmx_vcpu *v)
{
    (void)v;
    return (vmcs_read64(VMCS_GUEST_EFER) & EFER_LMA) &&
           (vmcs_read32(VMCS_GUEST_CS_ACCESS) & ACCESS_L);
}

uint64_t vmx_rsp(const struct vmx_vcpu *v)
{
    (void)v;
    return vmcs_readn(VMCS_GUEST_RSP);
}

uint64_t vmx_rflags(const struct vmx_vcpu *v)
{
    (void)v;
    return vmcs_readn(VMCS_GUEST_RFLAGS);
}

bool vmx_interrupts_enabled(const struct vmx_vcpu *v)
{
    return vmx_rflags(v) & RFLAGS_IF;
}

uint64_t vmx_efer(const struct vmx_vcpu *v)
{
    return v->unrestricted ? vmcs_read64(VMCS_GUEST_EFER) : v->efer;
}
