/* SPDX-License-Identifier: MIT */
/* A06: calls from compatibility mode, with garbage in the upper halves. Expected: -EPERM. */
#include "tests/hostile/hostile.h"

/* To 32-bit code in the same page tables, a VMCALL with the number in EAX, and back. */
static int64_t call_compatible(uint64_t number, uint64_t first)
{
    int64_t result;

    __asm__ volatile("push %2\n"
                     "lea 1f(%%rip), %%rcx\n"
                     "push %%rcx\n"
                     "lretq\n"
                     ".code32\n"
                     "1: vmcall\n"
                     "ljmp %3, $2f\n"
                     ".code64\n"
                     "2:"
                     : "=a"(result)
                     : "a"(number), "i"(SELECTOR_CODE32), "i"(SELECTOR_CODE64), "D"(first)
                     : "rcx", "memory");
    return result;
}

CASE(a06)
{
    for (uint64_t number = 0; number < 40; number++) {
        int64_t result = call_compatible(0xdead000000000000 | number, ~0ull);
        expect((int32_t)result == -EPERM, "call %lu in 32-bit code answers %lx", number, result);
    }
}
