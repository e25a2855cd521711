/* SPDX-License-Identifier: MIT */
/* The guest half of the tour: what its files share. */
#ifndef GUESTS_TOUR_TOUR_H
#define GUESTS_TOUR_TOUR_H

#include "guests/lib/guest.h"

enum result { AS_EXPECTED, NOT_AS_EXPECTED, SKIPPED };

/* One cause of a VM exit, or of none, and what the SDM says about it. */
struct step {
    const char *name, *section, *expected;
    enum result (*cause)(void); /* causes it, checks it, prints one line of outcome */
};

extern const struct step steps[];
extern const size_t step_count;

/* How the tour ends: end=NAME. `cause` does not return. */
struct finale {
    const char *end, *name, *section, *expected;
    void (*cause)(void);
};

extern const struct finale finales[];
extern const size_t finale_count;

/* modes.asm. Runs user_code at CPL 3 on a stack that ends at `stack_end`, until user_mode_leave
 * (an address to continue at, with the stack pointer user_mode_rsp) brings CPL 0 back. */
void user_mode_enter(void *stack_end);
extern const char user_code[], user_code_misaligned[], user_mode_leave[];
extern uint64_t user_mode_rsp;

/* What user_code leaves: the result of its VMCALL. Lies on a page that CPL 3 may write. */
struct user_page {
    int64_t call_result;
    uint64_t misaligned[2];
    char stack[2048] __attribute__((aligned(16)));
};
extern struct user_page user_page;

/* Leaves long mode, loads the GDT at `gdt` (2 + 8 * 5 bytes: limit and base as LGDT wants them) and
 * jumps to the 32-bit TSS behind SELECTOR_NEXT_TSS. */
_Noreturn void task_switch(const void *gdt_pointer);
#define SELECTOR_THIS_TSS 0x20
#define SELECTOR_NEXT_TSS 0x28

#endif
