/* SPDX-License-Identifier: MIT */
/* E07: page tables that point to themselves, and 512 entries for one page. Expected: harmless. */
#include "tests/hostile/hostile.h"

#define ACCESSED 0x60 /* and dirty: the processor's */

CASE(e07)
{
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull);
    uint64_t *table = pages_alloc(1), *page = pages_alloc(1);

    pml4[511] = (uintptr_t)pml4 | 3;
    volatile uint64_t *self = (uint64_t *)0xfffffffffffff000;
    expect((self[511] | ACCESSED) == (pml4[511] | ACCESSED), "it reads %lx", self[511]);
    for (unsigned i = 0; i < 512; i++)
        table[i] = (uintptr_t)page | 3;
    pml4[4] = (uintptr_t)table | 3; /* the table is all levels below at once */
    table[0] = (uintptr_t)table | 3;
    write_cr3(read_cr3());
    for (uint64_t i = 1; i < 512; i++) {
        volatile uint64_t *alias = (uint64_t *)(4ull << 39 | i << 12);
        *alias = i;
        expect(*page == i, "alias %lu", i);
    }
    pml4[4] = pml4[511] = 0;
    write_cr3(read_cr3());
}
