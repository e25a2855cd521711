/* SPDX-License-Identifier: MIT */
/* Stays of a guest: what is done before an entry, what the VMCS says about an exit (SDM 26, 27).
 * Only the fields that an exit reason defines are read: on hardware each VMREAD has its price. */
#include "kernel/lib/hot_path.h"

#include <linux/errno.h>

#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "vmx/instruction_error.h"
#include "vmx/invalidate.h"
#include "vmx/processor.h"
#include "vmx/vmcs.h"

_Static_assert(offsetof(struct vmx_vcpu, gpr) == 0, "enter.asm GPR");
_Static_assert(offsetof(struct vmx_vcpu, host_rsp) == 128, "enter.asm HOST_RSP");
_Static_assert(offsetof(struct vmx_vcpu, on_exit) == 136, "enter.asm ON_EXIT");
_Static_assert(offsetof(struct vmx_vcpu, vmcs.launched) == 156, "enter.asm LAUNCHED");
_Static_assert(offsetof(struct vmx_vcpu, attention) - offsetof(struct vmx_vcpu, before_entry) < 4,
               "before_entry has all of them");

#define REASON_BASIC        0xffffu
#define REASON_ENTRY_FAILED BIT(31)
#define EPT_LINEAR_VALID    BIT(7)
#define IO_STRING           BIT(4)

uint32_t vmx_enter(struct vmx_vcpu *vcpu); /* enter.asm */

static void read_interruption(struct vm_exit *exit)
{
    exit->interruption_info = vmcs_read32(VMCS_EXIT_INTERRUPTION_INFO);
    if (exit->interruption_info & INFO_ERROR_CODE)
        exit->error_code = vmcs_read32(VMCS_EXIT_INTERRUPTION_ERROR);
}

static void read_vectoring(struct vm_exit *exit)
{
    exit->idt_vectoring_info = vmcs_read32(VMCS_IDT_VECTORING_INFO);
    if ((exit->idt_vectoring_info & INFO_VALID) && (exit->idt_vectoring_info & INFO_ERROR_CODE))
        exit->idt_vectoring_error = vmcs_read32(VMCS_IDT_VECTORING_ERROR);
}

/* What the reason defines beyond itself and RIP. */
static void read_details(struct vm_exit *exit)
{
    switch (exit->reason) {
    case EXIT_CPUID:
    case EXIT_VMCALL:
    case EXIT_RDMSR:
    case EXIT_WRMSR:
    case EXIT_HLT:
        exit->length = vmcs_read32(VMCS_EXIT_INSTRUCTION_LENGTH);
        break;
    case EXIT_EXTERNAL_INTERRUPT:
        read_interruption(exit);
        break;
    case EXIT_PREEMPTION_TIMER:
    case EXIT_TRIPLE_FAULT:
    case EXIT_INTERRUPT_WINDOW:
    case EXIT_NMI_WINDOW:
    case EXIT_INIT_SIGNAL:
        break;
    case EXIT_EXCEPTION_OR_NMI:
        read_interruption(exit);
        read_vectoring(exit);
        exit->qualification = vmcs_readn(VMCS_EXIT_QUALIFICATION);
        exit->length = vmcs_read32(VMCS_EXIT_INSTRUCTION_LENGTH);
        break;
    case EXIT_EPT_VIOLATION:
    case EXIT_EPT_MISCONFIGURATION:
        exit->qualification = vmcs_readn(VMCS_EXIT_QUALIFICATION);
        exit->guest_physical = vmcs_read64(VMCS_GUEST_PHYSICAL_ADDRESS);
        if (exit->qualification & EPT_LINEAR_VALID)
            exit->guest_linear = vmcs_readn(VMCS_GUEST_LINEAR_ADDRESS);
        read_vectoring(exit);
        break;
    case EXIT_IO:
        exit->qualification = vmcs_readn(VMCS_EXIT_QUALIFICATION);
        exit->length = vmcs_read32(VMCS_EXIT_INSTRUCTION_LENGTH);
        if (exit->qualification & IO_STRING)
            exit->guest_linear = vmcs_readn(VMCS_GUEST_LINEAR_ADDRESS);
        break;
    case EXIT_TASK_SWITCH:
        read_vectoring(exit);
        __attribute__((fallthrough));
    default:
        exit->qualification = vmcs_readn(VMCS_EXIT_QUALIFICATION);
        exit->length = vmcs_read32(VMCS_EXIT_INSTRUCTION_LENGTH);
        exit->instruction_info = vmcs_read32(VMCS_EXIT_INSTRUCTION_INFO);
        break;
    }
}

static int entry_error(uint32_t fail, char error[VMX_ERROR_MAX])
{
    uint32_t number = fail == 2 ? vmcs_read32(VMCS_INSTRUCTION_ERROR) : 0;
    snprintf(error, VMX_ERROR_MAX, "VM entry failed: VM-instruction error %u (%s)", number,
             vmx_instruction_error_name(number));
    return -EIO;
}

static void write_event(struct vmx_vcpu *v)
{
    uint32_t info = (uint32_t)v->event;
    vmcs_write32(VMCS_ENTRY_INTERRUPTION_INFO, info);
    if (info & INFO_ERROR_CODE)
        vmcs_write32(VMCS_ENTRY_EXCEPTION_ERROR, (uint32_t)(v->event >> 32));
    vmcs_write32(VMCS_ENTRY_INSTRUCTION_LENGTH, v->event_length);
    v->event = 0; /* the processor clears the valid bit at the exit */
    v->inject = false;
}

void vmx_prepare(struct vmx_vcpu *v)
{
    if (v->flush)
        vmx_flush(v);
    if (v->inject)
        write_event(v);
}

int vmx_run(struct vmx_vcpu *v, char error[VMX_ERROR_MAX])
{
    bool launched = v->vmcs.launched;
    vmx_prepare(v);
    uint32_t fail = vmx_enter(v);
    if (__builtin_expect(fail == 0, 1))
        return 0;
    v->vmcs.launched = launched;
    return entry_error(fail, error);
}

void vmx_exit_read(struct vmx_vcpu *v, struct vm_exit *exit)
{
    uint32_t reason = vmcs_read32(VMCS_EXIT_REASON);
    *exit = (struct vm_exit){.reason = reason & REASON_BASIC,
                             .entry_failed = reason & REASON_ENTRY_FAILED,
                             .rip = vmcs_readn(VMCS_GUEST_RIP)};
    if (exit->entry_failed) {
        v->vmcs.launched = false;
        exit->qualification = vmcs_readn(VMCS_EXIT_QUALIFICATION);
    } else {
        read_details(exit);
    }
}

bool vmx_preemption_set(struct vmx_vcpu *v, uint64_t ticks)
{
    (void)v;
    if (!vmx_common_features.preemption_timer)
        return false;
    uint64_t counts = ticks >> vmx_common_features.preemption_shift;
    vmcs_write32(VMCS_PREEMPTION_TIMER_VALUE, counts > UINT32_MAX ? UINT32_MAX : (uint32_t)counts);
    return true;
}
