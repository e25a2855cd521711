/* SPDX-License-Identifier: MIT */
/* What a handler does to a guest between exit and entry: skip, inject, reflect, redeliver (SDM 26.5
 * event injection, 27.2.4 IDT-vectoring information), and questions about its state. */
#include "kernel/lib/hot_path.h"

#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "vmx/capabilities.h"
#include "vmx/event.h"
#include "vmx/exit_path.h"
#include "vmx/injection.h"
#include "vmx/processor.h"
#include "vmx/vmcs.h"

#define DR6_DB_BITS        0xe00full /* B0-B3, BD, BS, BT; the exit qualification has the same */
#define DR7_GD             BIT(13)

/* Vectors that push an error code (SDM Vol. 3A, 6.13). */
#define WITH_ERROR_CODE (BIT(EXCEPTION_DF) | BIT(EXCEPTION_TS) | BIT(EXCEPTION_NP) | \
                         BIT(EXCEPTION_SS) | BIT(EXCEPTION_GP) | BIT(EXCEPTION_PF) | \
                         BIT(EXCEPTION_AC) | BIT(EXCEPTION_CP))

/* The shadow of STI or MOV SS covers one instruction. */
static void end_shadow(void)
{
    uint32_t blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
    if (blocking & (BLOCKING_STI | BLOCKING_MOV_SS))
        vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(BLOCKING_STI | BLOCKING_MOV_SS));
}

/* A guest that single-steps gets its #DB behind the instruction that was carried out for it. */
static void complete_single_step(void)
{
    vmcs_writen(VMCS_GUEST_PENDING_DEBUG, vmcs_readn(VMCS_GUEST_PENDING_DEBUG) | PENDING_BS);
}

void vmx_skip_rest(struct vmx_vcpu *v)
{
    uint64_t rip = vmcs_readn(VMCS_GUEST_RIP);
    if (rip > UINT32_MAX && !vmx_in_64bit_mode(v))
        vmcs_writen(VMCS_GUEST_RIP, (uint32_t)rip); /* EIP wraps */
    end_shadow();
    if (vmcs_readn(VMCS_GUEST_RFLAGS) & RFLAGS_TF)
        complete_single_step();
}

/* `length` is that of a software event's instruction. */
static void set_event(struct vmx_vcpu *v, uint64_t event, uint32_t length)
{
    v->event = event;
    v->event_length = length;
    v->inject = event != 0;
}

void vmx_inject_exception(struct vmx_vcpu *v, unsigned vector, uint32_t error_code)
{
    /* Not v->cr0: an unrestricted guest changes PE without an exit. */
    bool protected_mode = vmcs_readn(VMCS_GUEST_CR0) & CR0_PE;
    bool with_error = (WITH_ERROR_CODE >> vector & 1) && protected_mode;
    uint64_t event = INFO_VALID | EVENT_HARDWARE_EXCEPTION << INFO_TYPE_SHIFT | vector;
    if (with_error)
        event |= INFO_ERROR_CODE | (uint64_t)error_code << 32;
    set_event(v, event, 0);
}

/* An IRET that was to end an NMI handler faulted, or met a page that was not there: it is executed
 * again, and NMIs are blocked until then (SDM 27.2.2, 27.2.1 table 27-7 bit 12; 31.7.1.2). */
static void set_nmi_blocking(bool on)
{
    uint32_t blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKING_NMI;
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, on ? blocking | BLOCKING_NMI : blocking);
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
    if ((exit->interruption_info & INFO_NMI_UNBLOCKED) && vector != EXCEPTION_DF)
        set_nmi_blocking(true);
    set_event(v, (exit->interruption_info & ~(uint32_t)INFO_NMI_UNBLOCKED) |
                     (uint64_t)exit->error_code << 32, exit->length);
}

void vmx_redeliver_event(struct vmx_vcpu *v, const struct vm_exit *exit)
{
    if (!(exit->idt_vectoring_info & INFO_VALID)) {
        if (exit->reason == EXIT_EPT_VIOLATION && (exit->qualification & INFO_NMI_UNBLOCKED))
            set_nmi_blocking(true);
        return;
    }
    if (v->event)
        return; /* an exception that the delivery itself raised comes first */
    enum event_type type = INFO_TYPE(exit->idt_vectoring_info);
    if (type == EVENT_NMI) { /* it must not find itself blocked (SDM 26.3.1.5) */
        set_nmi_blocking(false);
        v->in_nmi = true;
    }
    bool software = type == EVENT_SOFTWARE_INTERRUPT || type == EVENT_SOFTWARE_EXCEPTION ||
                    type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION;
    set_event(v, (exit->idt_vectoring_info & ~(uint32_t)INFO_NMI_UNBLOCKED) |
                     (uint64_t)exit->idt_vectoring_error << 32,
              software ? vmcs_read32(VMCS_EXIT_INSTRUCTION_LENGTH) : 0);
}

static void set_window(uint32_t control, bool *is, bool on)
{
    if (*is == on)
        return;
    *is = on;
    uint32_t controls = vmcs_read32(VMCS_PROCESSOR_CONTROLS);
    vmcs_write32(VMCS_PROCESSOR_CONTROLS, on ? controls | control : controls & ~control);
}

/* NMIs are blocked by the injection of one and by nothing else. Bochs 2.7 saves the blocking that
 * the vCPU before had on this core: an entry never ends it there. */
static uint32_t read_interruptibility(struct vmx_vcpu *v)
{
    uint32_t interruptibility = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
    if (!(interruptibility & BLOCKING_NMI)) {
        v->in_nmi = false;
    } else if (!v->in_nmi && vmx_common_features.virtual_nmis) {
        interruptibility &= ~BLOCKING_NMI;
        vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, interruptibility);
    }
    return interruptibility;
}

void vmx_look_after_nmis(struct vmx_vcpu *v)
{
    if (v->in_nmi)
        (void)read_interruptibility(v);
}

bool vmx_is_open(const struct vmx_vcpu *v)
{
    return !v->inject && !v->interrupt_window && !v->nmi_window &&
           (vmx_field(VMCS_GUEST_RFLAGS) & RFLAGS_IF);
}

void vmx_inject_interrupt(struct vmx_vcpu *v, uint8_t vector)
{
    set_event(v, INFO_VALID | EVENT_EXTERNAL_INTERRUPT << INFO_TYPE_SHIFT | vector, 0);
}

static __attribute__((noinline)) struct vmx_delivered choose(struct vmx_vcpu *v, bool nmi,
                                                             int vector)
{
    uint32_t interruptibility = read_interruptibility(v);
    const struct vmx_injection_input input = {
        .event = v->event,
        .interruptibility = interruptibility,
        .interrupts_on = vmx_interrupts_enabled(v),
        .nmi = nmi,
        .vector = vector,
    };
    struct vmx_injection choice = vmx_injection_choose(&input);
    if (choice.interruptibility != interruptibility)
        vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, choice.interruptibility);
    bool taken = choice.nmi_taken || choice.interrupt_taken;
    v->in_nmi = v->in_nmi || choice.nmi_taken;
    set_event(v, choice.event, taken ? 0 : v->event_length);
    set_window(PROC_INTERRUPT_WINDOW_EXITING, &v->interrupt_window, choice.interrupt_window);
    /* Without virtual NMIs there is no such window: the NMI is tried again at the next exit. */
    if (vmx_common_features.virtual_nmis)
        set_window(PROC_NMI_WINDOW_EXITING, &v->nmi_window, choice.nmi_window);
    return (struct vmx_delivered){choice.nmi_taken, choice.interrupt_taken};
}

struct vmx_delivered vmx_deliver(struct vmx_vcpu *v, bool nmi, int vector)
{
    if (nmi || vector < 0 || !vmx_is_open(v) || vmx_field(VMCS_GUEST_INTERRUPTIBILITY) != 0)
        return choose(v, nmi, vector);
    vmx_inject_interrupt(v, (uint8_t)vector); /* as it mostly is */
    v->in_nmi = false;
    return (struct vmx_delivered){.interrupt = true};
}

void vmx_set_interrupt_status(struct vmx_vcpu *v, int requested, int in_service)
{
    (void)v;
    uint16_t status = (uint16_t)MAX(requested, 0) | (uint16_t)(MAX(in_service, 0) << 8);
    vmcs_write16(VMCS_GUEST_INTERRUPT_STATUS, status);
}

void vmx_unblock_nmis(struct vmx_vcpu *v)
{
    (void)v;
    if (!vmx_common_features.virtual_nmis) /* else the bit is about the guest's own NMIs */
        set_nmi_blocking(false);
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

bool vmx_nmis_blocked(struct vmx_vcpu *v)
{
    return read_interruptibility(v) & BLOCKING_NMI;
}

uint64_t vmx_efer(const struct vmx_vcpu *v)
{
    return v->unrestricted ? vmcs_read64(VMCS_GUEST_EFER) : v->efer;
}
