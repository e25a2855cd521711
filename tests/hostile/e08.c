/* SPDX-License-Identifier: MIT */
/* E08: accesses across the edges of 4 KiB and 2 MiB pages, touched for the first time. Expected:
 * no misconfiguration of EPT, all bytes where they belong. */
#include "tests/hostile/hostile.h"

CASE(e08)
{
    uint64_t end = guest_ram_end(); /* mem=8M: with edges of 2 MiB in it */

    for (uint64_t edge = PAGE_SIZE_2M; edge < end; edge += PAGE_SIZE_2M) {
        volatile uint64_t *across = (uint64_t *)(edge - 4);
        *across = edge * 3;
        expect(*across == edge * 3, "across %lx", edge);
    }
    for (uint64_t edge = PAGE_SIZE_2M + PAGE_SIZE; edge < 2 * PAGE_SIZE_2M; edge += PAGE_SIZE) {
        __asm__ volatile("lock addq $5, (%0)" : : "r"(edge - 4) : "memory");
        expect(*(volatile uint64_t *)(edge - 4) == 5, "across %lx", edge);
        *(volatile uint64_t *)(edge - 4) = 0;
    }
}
