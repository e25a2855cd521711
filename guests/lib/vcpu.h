/* SPDX-License-Identifier: MIT */
/* What the SDK keeps for each vCPU: descriptor tables, stacks, the state of ATTEMPT, an unfinished
 * line. GS points to it. Only the SDK's own files include this. */
#ifndef GUESTS_LIB_VCPU_H
#define GUESTS_LIB_VCPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guests/lib/descriptors.h"

#define VCPU_LINE_MAX    512
#define VCPU_GDT_ENTRIES 8
#define IST_DOUBLE_FAULT 1

struct vcpu {
    struct vcpu *self;  /* vcpu_this reads it at GS:0 */
    uint64_t stack_top; /* trampoline.asm reads it at offset 8 */
    unsigned index;
    int last_vector;                /* of exception_last */
    _Atomic bool started, finished; /* its entry was called; has returned */
    void (*entry)(void *argument);
    void *argument;
    size_t line_length;
    char line[VCPU_LINE_MAX];
    uint64_t gdt[VCPU_GDT_ENTRIES]; /* its own: a TSS descriptor is busy on one vCPU at a time */
    struct tss tss;                 /* IST1 and RSP0 are set once */
};

static inline struct vcpu *vcpu_this(void)
{
    struct vcpu *vcpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(vcpu));
    return vcpu;
}

extern struct vcpu *vcpu_table[]; /* by number; NULL: never started */

/* Once, before all else: the boot vCPU's block. */
void vcpu_init_boot(void);

/* On each vCPU: GDT, TSS, IDT and GS. */
void exceptions_load(struct vcpu *vcpu);

/* The interrupt of `vector`, 32 to 255: calls its handler and sends EOI. False: it has none. */
bool interrupt_dispatch(unsigned vector);

/* From now on the console waits for no lock: an exception is reported, whoever held it. */
void console_take_over(void);

#endif
