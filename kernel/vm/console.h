/* SPDX-License-Identifier: MIT */
/* A guest's console. Out: bytes go into a ring of their own, to be replayed to who attaches, and,
 * while nobody is attached, as whole lines into the log, so many a second at most. In: what an
 * operator types, with an interrupt for the guest. Part of a VM's record. */
#ifndef KERNEL_VM_CONSOLE_H
#define KERNEL_VM_CONSOLE_H

#include <stdatomic.h>

#include "kernel/lib/spinlock.h"
#include "kernel/lib/types.h"

struct vm;
struct vcpu;

#define CONSOLE_LINE_MAX   160
#define CONSOLE_INPUT      128
#define CONSOLE_HISTORY    1920 /* 24 lines of 80 */
#define CONSOLE_RATE       100u  /* lines a second, detached; the option conrate= changes it */
#define CONSOLE_BURST      500u  /* that may come at once */

struct console {
    struct spinlock lock;
    uint32_t next;                 /* where the next byte goes in `history` */
    uint64_t written;              /* bytes ever put into `history` */
    uint64_t shown;                /* of them, up to which the attached terminal has them */
    uint64_t line;                 /* of them, where the line begins that waits for its newline;
                                      while attached, from which on none is in the log */
    uint64_t dropped;              /* lines, since the last report */
    uint64_t credit, credit_tsc;   /* lines that may come, in TSC ticks' worth, and when counted */
    _Atomic bool attached;         /* the terminal shows it: no lines into the log */
    uint32_t input_head, input_tail;
    struct vcpu *reader;           /* whom input interrupts, with `vector` (0: nobody) */
    uint32_t vector;
    char input[CONSOLE_INPUT];
    char history[CONSOLE_HISTORY]; /* a ring */
};

/* Lines a second for each guest; 0: as many as come. */
void console_set_rate(uint32_t lines);

/* A new life begins: what waits of the last one is dropped, the history stays. */
void console_reset(struct vm *vm);

/* The guest's own writes. */
void console_write(struct vm *vm, const char *bytes, size_t size);

/* Writes out what waits for its newline, and how much was dropped, when the guest has ended. */
void console_flush(struct vm *vm);

/* ---- The guest's reading (ATOLL_CALL_CONSOLE_READ, ATOLL_CALL_CONSOLE_VECTOR) */

/* Takes up to `size` bytes of what was typed; returns how many. */
size_t console_read(struct vm *vm, char *bytes, size_t size);

/* Input interrupts `vcpu` with `vector` (32 to 255; 0: nobody). 0, -EINVAL. */
int console_set_vector(struct vcpu *vcpu, uint64_t vector);

/* Can input wake it? There is a terminal, and the VM asked for the interrupt. */
bool console_can_wake(const struct vm *vm);

/* ---- The operator's terminal */

/* There is one. */
void console_has_terminal(void);

/* From here on the terminal has it: replay starts at the oldest byte that is still there. A line
 * that waits for its newline is part of the replay, and never comes into the log. Without effect
 * on one that is attached. */
void console_attach(struct vm *vm);

/* What the terminal has not taken, of all that was written since the attach and that line, goes
 * into the log as if written now. Of a line that was taken in part, the log has the rest. */
void console_detach(struct vm *vm);

/* What the terminal has not yet seen, as it was written: up to `size` bytes; returns how many.
 * `*lost` grows by what was overwritten before. */
size_t console_take(struct vm *vm, char *bytes, size_t size, uint64_t *lost);

/* What was typed for the guest; returns how many bytes fitted, 0 when the VM does not live or
 * cannot be held at this moment (vm_hold). Not to be called with the VM's lock. */
size_t console_type(struct vm *vm, const char *bytes, size_t size);

#endif
