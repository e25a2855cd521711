/* SPDX-License-Identifier: MIT */
/* The trace: a ring of CTF packets for each core, in which events are written with their TSC while
 * tracing is on. Nothing waits: the oldest packet is overwritten, and its events are counted as
 * lost. The format is trace.yaml, from which barectf makes the encoder. Only the core itself writes
 * its ring, with interrupts off. */
#ifndef KERNEL_VM_TRACE_H
#define KERNEL_VM_TRACE_H

#include "kernel/vm/vm.h"

/* Bits of exits_watched, which the way of an exit tests once. */
#define WATCH_LOG   1u /* exit_log.h */
#define WATCH_TRACE 2u
extern uint32_t exits_watched;

static inline bool trace_is_on(void)
{
    return __builtin_expect(exits_watched & WATCH_TRACE, 0);
}

/* Makes the rings, on the boot processor behind sched_init, and switches tracing on if `on`. 0 or
 * -ENOMEM. */
MUST_CHECK int trace_init(bool on);

/* From any core. On: rings go on where they were; off: what they hold stays to be dumped. 0;
 * -ENOMEM when trace_init found no memory; -EBUSY when it is to be on while a dump is read. */
int trace_set(bool on);

/* ---- Events. Called only where trace_is_on(). */
void trace_entry(const struct vcpu *vcpu, uint64_t tsc);          /* it enters the guest */
void trace_exit(const struct vcpu *vcpu, const struct vm_exit *exit, uint64_t tsc,
                uint64_t cost);                                   /* handled; tsc: of the exit */
void trace_inject(const struct vcpu *vcpu, uint32_t information); /* SDM 24.8.3 */
void trace_run(const struct vcpu *vcpu);                          /* its slice begins ... */
void trace_pause(const struct vcpu *vcpu);                        /* ... and ends */
void trace_wake(const struct vcpu *vcpu);
void trace_sleep(const struct vcpu *vcpu);
void trace_migrate(const struct vcpu *vcpu, uint32_t to);         /* from this core */
void trace_doorbell(const struct vm *from, const struct vm *to);
void trace_stop(const struct vcpu *vcpu, uint32_t reason);        /* enum stop_reason */

/* ---- What there is, and dumping it */

struct trace_figures {
    bool on;
    uint64_t events;      /* in the rings now */
    uint64_t overwritten; /* events */
    uint64_t bytes;       /* that a dump has */
};
struct trace_figures trace_figures(void);

/* A dump, piece by piece. Zeroed, `dump` starts at the beginning; that switches tracing off, and it
 * cannot be switched on before the end (or trace_set(false), which gives the dump up). Puts up to
 * `size` bytes into `bytes` and returns how many: fewer only at the end, 0 behind it. A second dump
 * that starts takes the place of the first. What it is: docs/trace.md. */
struct trace_dump {
    uint32_t part, packet;
    uint64_t offset;
};
size_t trace_dump_read(struct trace_dump *dump, char *bytes, size_t size);

/* Gives a port, which takes what it can without waiting, the next bytes of a dump, TRACE_DUMP_STEP
 * at most. Returns true when nothing is left. */
#define TRACE_DUMP_STEP 4096u
bool trace_dump_to(struct trace_dump *dump, size_t (*put)(const char *bytes, size_t size));

#endif
