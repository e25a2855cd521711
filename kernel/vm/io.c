/* SPDX-License-Identifier: MIT */
/* Ports: a guest owns none so far. Reads give all ones, as an empty bus does; writes vanish. The
 * machine's reset ports reset the guest, which ends it. String I/O is refused with #GP: it would
 * need a walk of the guest's page tables for every element. */
#include "kernel/vm/exits.h"
#include "kernel/vm/hvt.h"

#define PORT_KEYBOARD 0x64
#define PORT_SYSTEM_A 0x92
#define PORT_RESET    0xcf9
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

enum exit_action io_handle(struct vcpu *vcpu, const struct vm_exit *exit)
{
    uint64_t *rax = &vcpu->vmx.gpr[VMX_RAX];
    if (vcpu->vm->hvt)
        return hvt_io(vcpu, exit);
    struct vmx_io io = vmx_exit_io(exit->qualification);
    if (io.string)
        return ACTION_GP;
    if (io.in) {
        if (io.size == 4)
            *rax = UINT32_MAX; /* a 32-bit write clears the upper half */
        else
            *rax |= BIT(io.size * 8) - 1;
        return ACTION_RESUME;
    }
    if (!is_reset(io.port, (uint32_t)*rax))
        return ACTION_RESUME;
    vm_stop(vcpu, STOP_GUEST_RESET, exit, "reset by port 0x%x", io.port);
    return ACTION_STOP;
}
