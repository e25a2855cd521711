/* SPDX-License-Identifier: MIT */
/* F19: a flood of exceptions: 20000 each of #UD, #GP, #PF, #DE and #BP. Expected: each comes, and
 * the others have their share. */
#include "tests/hostile/hostile.h"

static bool ignore(struct exception_frame *frame)
{
    (void)frame;
    return true;
}

CASE(f19)
{
    unsigned wrong = 0;

    exception_handler_set(VECTOR_BP, ignore);
    for (unsigned i = 0; i < 20000; i++) {
        wrong += ATTEMPT("ud2") != VECTOR_UD;
        wrong += ATTEMPT("mov %0, %%ds", : : "r"(0xfff0)) != VECTOR_GP;
        wrong += ATTEMPT("mov (%0), %%eax", : : "r"(7ull << 39) : "rax") != VECTOR_PF;
        wrong += ATTEMPT("divl %0", : : "r"(0), "a"(1), "d"(0)) != VECTOR_DE;
        __asm__ volatile("int3");
    }
    expect(wrong == 0, "%u exceptions did not come", wrong);
}
