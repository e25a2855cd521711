/* SPDX-License-Identifier: MIT */
/* A06: calls from compatibility mode, 32-bit and 16-bit protected mode and real mode, with garbage
 * in the upper halves of all registers. Expected: -EPERM, and no effect. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

#define GARBAGE 0xdeadbeef00000000ull

/* To 32-bit code in the same page tables, a VMCALL with the number in EAX, and back. */
static int64_t call_compatible(uint64_t number, uint64_t rest)
{
    int64_t result;
    register uint64_t r8 __asm__("r8") = rest, r10 __asm__("r10") = rest;

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
                     : "a"(number), "i"(SELECTOR_CODE32), "i"(SELECTOR_CODE64), "D"(rest),
                       "S"(rest), "d"(rest), "b"(rest), "r"(r8), "r"(r10)
                     : "rcx", "memory");
    return result;
}

CASE(a06)
{
    static const uint64_t rests[] = {~0ull, GARBAGE | 1, 0x7fffffff00000000, BIT(63) | 0x1000};

    for (size_t i = 0; i < ARRAY_SIZE(rests); i++) {
        for (uint64_t number = 0; number < 40; number++) {
            int64_t result = call_compatible(GARBAGE | number, rests[i]);
            expect((int32_t)result == -EPERM, "call %lu in compatibility mode answers %lx", number,
                   result);
            entry_rax = GARBAGE | number;
            entry_rest = rests[i];
            expect((int32_t)run32(vm_call32) == -EPERM, "call %lu in 32-bit code", number);
            expect((int32_t)run_protected16(vm_call16) == -EPERM, "call %lu in 16-bit code",
                   number);
            expect((int32_t)run16(vm_call16) == -EPERM, "call %lu in real mode", number);
        }
    }
}
