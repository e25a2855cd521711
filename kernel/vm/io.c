/* SPDX-License-Identifier: MIT */
/* Ports: a guest owns none so far. Reads give all ones, as an empty bus does; writes vanish. The
 * machine's reset ports reset the guest, which ends it. String I/O is refused with #GP: it would
 * need a walk of the guest's page tables for every element. */
#include "kernel/vm/exits.h"

#define KEYBOARD_PULSE_RESET 0xfe
#define SYSTEM_A_FAST_RESET  BIT(0)
#define RESET_CPU            BIT(2)

static bool is_reset(uint16_t port, uint32_t value)
{
    switch (port) {
    case PORT_KEYBOARD:
        return (value & 0xff) == KEYBOARD_PULSE_RESET;
    case PORT_SYSTEM_A:
        return value & SYSTEM_A_FAST_RESET;
    case PORT_RESET:
        return value & RESET_CPU;
    default:
        return false;
    }
}

static __attribute__((noinline)) enum exit_action reset(struct vcpu *vcpu, uint16_t port)
{
    struct vm_exit exit;
    vmx_exit_read(&vcpu->vmx, &exit);
    vm_stop(vcpu, STOP_GUEST_RESET, &exit, "reset by port 0x%x", port);
    return ACTION_STOP;
}

enum exit_action io_handle(struct vcpu *vcpu, uint64_t qualification)
{
    uint64_t *rax = &vcpu->vmx.gpr[VMX_RAX];
    struct vmx_io io = vmx_exit_io(qualification);
    if (io.string)
        return ACTION_GP;
    if (io.in) {
        if (io.size == 4)
            *rax = UINT32_MAX; /* a 32-bit write clears the upper half */
        else
            *rax |= BIT(io.size * 8) - 1;
        return ACTION_RESUME;
    }
    return is_reset(io.port, (uint32_t)*rax) ? reset(vcpu, io.port) : ACTION_RESUME;
}
