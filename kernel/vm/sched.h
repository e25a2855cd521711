/* SPDX-License-Identifier: MIT */
/* The scheduler: a queue for each core, round robin in time slices, sleepers in the order of their
 * time. A vCPU stays on the core that it was given at its creation. */
#ifndef KERNEL_VM_SCHED_H
#define KERNEL_VM_SCHED_H

#include "kernel/vm/vm.h"

/* Before the first vCPU: how many cores take part (indices of kernel/cpu/cpu.h) and the length of
 * a slice in TSC ticks. */
void sched_init(const uint32_t *cpu_indices, uint32_t count, uint64_t slice_ticks);

/* A new vCPU, runnable, onto the core with the fewest. */
void sched_add(struct vcpu *vcpu);

/* Makes another core go once around its loop, soon. */
void sched_wake_core(uint32_t index);

/* A core that takes part and is not the calling one; false when there is none. */
bool sched_other_core(uint32_t *index);

/* The loop of a core: runs vCPUs, drains the log and halts when there is nothing to do. Returns
 * SCHED_FINISHED when the last VM has ended, SCHED_RESTART when the core must be started anew: its
 * queues stay as they are, and it calls sched_run again. */
enum sched_result { SCHED_FINISHED, SCHED_RESTART };
MUST_CHECK enum sched_result sched_run(void);

#endif
