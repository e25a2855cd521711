/* SPDX-License-Identifier: MIT */
/* B02: CR0.CD and NW, and much memory access. Expected: they read back as set, and no other guest
 * is slower for it. */
#include "tests/hostile/hostile.h"

#define WORDS 8192

static volatile uint64_t words[WORDS];

CASE(b02)
{
    uint64_t cr0 = read_cr0(), both = cr0 | X86_CR0_CD | X86_CR0_NW;

    for (unsigned round = 0; round < 20; round++) {
        uint64_t now = round & 1 ? both : cr0 | X86_CR0_CD;
        write_cr0(now);
        expect(read_cr0() == now, "CR0 is %lx, not %lx", read_cr0(), now);
        for (size_t i = 0; i < WORDS; i++)
            words[i] = i ^ round;
        for (size_t i = 0; i < WORDS; i++)
            expect(words[i] == (i ^ round), "word %zu", i);
    }
    write_cr0(cr0);
}
