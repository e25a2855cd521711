/* SPDX-License-Identifier: MIT */
/* E15: a guest touches all of the memory that it asked for, and then more. Expected: all of it is
 * there, zeroed, and EPT_VIOLATION behind its end. */
#include "tests/hostile/hostile.h"

CASE(e15)
{
    uint64_t end = guest_ram_end();

    for (uint64_t at = (uintptr_t)pages_next(); at < end; at += PAGE_SIZE) {
        volatile uint64_t *word = (uint64_t *)at;
        expect(*word == 0, "0x%lx is not zeroed", at);
        *word = at;
    }
    for (uint64_t at = (uintptr_t)pages_next(); at < end; at += PAGE_SIZE)
        expect(*(volatile uint64_t *)at == at, "0x%lx", at);
    farewell_at(end);
    *(volatile uint64_t *)end = 1;
}
