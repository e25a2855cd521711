/* SPDX-License-Identifier: MIT */
/* Looking at a vCPU from another core. Only the core that has it may load its VMCS, so it is asked
 * to take a snapshot between two exits; a guest that runs loses the microseconds that this takes.
 * There is one inspection at a time: the monitor's. */
#ifndef KERNEL_VM_INSPECT_H
#define KERNEL_VM_INSPECT_H

#include "kernel/vm/vm.h"

struct inspection {
    struct vmx_snapshot vmx;
    enum vcpu_state state;
    enum vcpu_wait wait;
    uint32_t cpu;
    char name[VM_NAME_MAX + 4]; /* of the vCPU */
};

/* Asks for a snapshot. The caller holds the VM (vm_hold) until inspect_done, or inspect_cancel.
 * 0, or -EBUSY: there is one under way, or its result was not yet given back. */
MUST_CHECK int inspect_start(struct vcpu *vcpu);

/* Is there an answer? */
bool inspect_done(void);

/* The answer, which stays until inspect_cancel; NULL: the vCPU has ended. */
const struct inspection *inspect_result(void);

/* Gives the result back, or waits no more for one: what comes later is nobody's. Waits for no
 * longer than a snapshot takes. */
void inspect_cancel(void);

/* For the scheduler: REQUEST_INSPECT, on the core that has the vCPU, whatever its state. */
void inspect_serve(struct vcpu *vcpu);

#endif
