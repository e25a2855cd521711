/* SPDX-License-Identifier: MIT */
/* Starting the application processors: INIT-SIPI-SIPI, one at a time (SDM Vol. 3A, 8.4.4.1). */
#ifndef KERNEL_CPU_SMP_H
#define KERNEL_CPU_SMP_H

#include "kernel/cpu/cpu.h"
#include "kernel/lib/types.h"

/* Starts the processors with these APIC ids, except the calling one, until `max` run in all (0: no
 * limit). `page` is a free page below 1 MiB for the trampoline; it stays in use, for a processor
 * that answers late. Each one loads its tables, enables its APIC and calls `main`; it is
 * awaited until that calls smp_online, for a bounded time, and halts when `main` returns. One that
 * does not answer is reported and left out. Returns how many processors run, this one included. */
uint32_t smp_start(const uint32_t *apic_ids, uint32_t count, uint32_t max, hpa_t page,
                   void (*main)(void));

/* Called by `main` of a processor when it is ready: the next one is started then. Does not return
 * on one that took too long and was left out. */
void smp_online(void);

/* Starts a processor again that is about to halt, or has been reset: it was running before, has its
 * block and stack, and calls `main` of smp_start once more. False when it does not answer. */
MUST_CHECK bool smp_restart(struct cpu *cpu);

/* For panics: an NMI to all others. */
void smp_stop_others(void);

#endif
