/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts of the host (SDM Vol. 3A, chapter 6). The host runs with interrupts
 * off except when idle; an exception in it is a host bug and panics, unless the instruction has a
 * fix-up. */
#ifndef KERNEL_CPU_TRAPS_H
#define KERNEL_CPU_TRAPS_H

#include "kernel/lib/types.h"

struct trap_frame { /* as traps.asm lays it out */
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Vectors of the host. All that an interrupt does is to end a HLT or a guest's stay. */
#define VECTOR_TIMER    0xf0
#define VECTOR_WAKE     0xf1
#define VECTOR_SPURIOUS 0xff

/* Fills the IDT, which all processors share. */
void traps_init(void);

/* Loads the IDT on the calling processor. */
void traps_load(void);

/* An instruction that may fault: `FAULT_SAFE("rdmsr")` inside an asm statement leaves 0 in R11D,
 * or FAULTED | vector when the instruction faulted; execution goes on behind it either way. */
#define FAULTED BIT(31)
#define FAULT_SAFE(instruction)                      \
    "xorl %%r11d, %%r11d\n\t"                        \
    "771: " instruction "\n\t"                       \
    "772:\n\t"                                       \
    ".pushsection .fixup, \"a\"\n\t"                 \
    ".quad 771b, 772b\n\t"                           \
    ".popsection\n\t"

/* RDMSR of an MSR that this processor may lack. Returns false, and 0 in `value`, on #GP. */
bool rdmsr_safe(uint32_t msr, uint64_t *value);

/* WRMSR that may be refused. */
bool wrmsr_safe(uint32_t msr, uint64_t value);

/* What an external interrupt does, taken through the IDT or acknowledged by a VM exit. */
void interrupt_handle(unsigned vector);

#endif
