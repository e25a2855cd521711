/* SPDX-License-Identifier: MIT */
/* The scheduler. Each core has the vCPUs that were given to it, and it alone touches them: their
 * run queue, their timers, their states. Who wants something of a vCPU posts a request to its core.
 * Cores that are idle or ahead are given work by those that have more than they can run. */
#ifndef KERNEL_VM_SCHED_H
#define KERNEL_VM_SCHED_H

#include "kernel/vm/vm.h"

/* Before the first vCPU: which cores take part (indices of kernel/cpu/cpu.h) and the longest slice
 * in TSC ticks. Returns 0 or -ENOMEM. */
MUST_CHECK int sched_init(const uint32_t *cpu_indices, uint32_t count, uint64_t slice_ticks);

/* The first core of the set that does not take part; false: all of them do. */
bool sched_lacks_core(const uint64_t cpus[VM_CORES_MAX / 64], uint32_t *index);

/* Prepares a new vCPU: its share by its VM's configuration, the core with the fewest vCPUs. It
 * waits for a REQUEST_START there; the VM must count it among its users. */
void sched_adopt(struct vcpu *vcpu);

/* From any core: asks the core of a vCPU for something (enum vcpu_request bits). The caller makes
 * sure that the VM is not given back meanwhile. */
void sched_post(struct vcpu *vcpu, uint32_t requests);

/* The vCPU, which is running on this core, waits from the end of this exit on, unless what it waits
 * for is there. */
void sched_wait_interrupt(struct vcpu *vcpu); /* HLT */
void sched_wait_until(struct vcpu *vcpu, uint64_t tsc);
void sched_wait_frame(struct vcpu *vcpu, uint64_t tsc); /* an hvt guest's POLL */

/* The vCPU, which is running on this core, goes to another one at the end of this exit. False:
 * there is none on which it may run. */
MUST_CHECK bool sched_leave_core(struct vcpu *vcpu);

/* For tests: every slice ends with a move to the next core. */
void sched_shuffle(void);

/* The last word of vmx.on_exit: enters the guest again (vmx_resume) if nothing ends its stay. What
 * the exit led to has been done. */
void sched_go_on(struct vcpu *vcpu);

/* Its timer (vcpu->apic) was set anew while it runs. */
void sched_timer_changed(struct vcpu *vcpu);

/* Arms a timer on the calling core; it fires in that core's loop. */
void sched_arm(struct timer *timer, uint64_t deadline);

/* Makes another core go once around its loop, soon. */
void sched_wake_core(uint32_t index);

/* All of them. */
void sched_wake_all(void);

/* A core that takes part and is not the calling one; false when there is none. */
bool sched_other_core(uint32_t *index);

/* Though all guests have ended, the cores stay in their loops, or not any more. */
void sched_stay(bool stay);

/* All cores leave their loops, whatever runs. */
void sched_leave(void);

/* The loop of a core: runs vCPUs, drains the log and halts when there is nothing to do. Returns
 * SCHED_FINISHED when the last VM has ended, SCHED_RESTART when the core must be started anew: its
 * queues stay as they are, and it calls sched_run again. */
enum sched_result { SCHED_FINISHED, SCHED_RESTART };
MUST_CHECK enum sched_result sched_run(void);

#endif
