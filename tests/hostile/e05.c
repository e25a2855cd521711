/* SPDX-License-Identifier: MIT */
/* E05: page tables outside RAM (n=0), and in a page that is read-only by EPT while the processor
 * wants to set an accessed bit there (n=1). Expected: EPT_VIOLATION, and no loop. */
#include "tests/hostile/hostile.h"

#define ENTRY 7 /* present, writable, user, and not accessed */

static const uint64_t table[512] __attribute__((aligned(4096))) = {ENTRY}; /* read-only */

CASE(e05)
{
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull);
    uint64_t *pdpt = pages_alloc(1), *directory = pages_alloc(1);
    uint64_t target = variant() == 0 ? guest_ram_end() + 0x1000 : (uintptr_t)table;

    pml4[2] = (uintptr_t)pdpt | ENTRY;
    pdpt[0] = (uintptr_t)directory | ENTRY;
    directory[0] = target | ENTRY;
    write_cr3(read_cr3());
    farewell_at(target);
    (void)*(volatile uint64_t *)(2ull << 39);
}
