/* SPDX-License-Identifier: MIT */
/* Interrupts of guests, between the virtual APIC, the scheduler and VMX: who sends, when they go
 * in. */
#ifndef KERNEL_VM_INTERRUPTS_H
#define KERNEL_VM_INTERRUPTS_H

#include "kernel/vm/vm.h"

/* What a guest may name as the vector of an interrupt that it asks for: 32 to 255 (below are
 * exceptions), or 0 for none. */
static inline bool interrupts_may_ask_for(uint64_t vector)
{
    return vector == 0 || (vector >= 32 && vector <= 255);
}

/* From any core: an interrupt for a vCPU, whose VM the caller keeps from being given back. */
void interrupts_post(struct vcpu *vcpu, uint8_t vector);

/* The IPI that a vCPU sends; it is running. */
void interrupts_send(struct vcpu *from, const struct vapic_ipi *ipi);

/* On the core that has the vCPU: takes over what was posted. */
void interrupts_collect(struct vcpu *vcpu);

/* The same: its timer, if it is due. */
void interrupts_run_timer(struct vcpu *vcpu);

/* The same, for one that halts with interrupts on and without a shadow: takes over what was posted.
 * If an interrupt can be delivered, the HLT is over, and the interrupt goes in at the next entry. */
MUST_CHECK bool interrupts_end_halt(struct vcpu *vcpu);

/* Has something been sent to it that it may not have seen? */
static inline bool interrupts_wait_for(const struct vcpu *vcpu)
{
    return vapic_has_posted(&vcpu->apic) || atomic_load(&vcpu->nmi);
}

/* WRMSR of the self-IPI register where nothing stands in the way: it goes in at the next entry.
 * False, and nothing was done: it must go through the registers. The instruction will have been
 * skipped by then, so a shadow does not count. */
MUST_CHECK bool interrupts_self(struct vcpu *vcpu, uint64_t vector);

/* Before an entry of the bound vCPU with vmx.attention: what can be delivered is injected, for the
 * rest a window is opened. */
void interrupts_deliver(struct vcpu *vcpu);

#endif
