/* SPDX-License-Identifier: MIT */
/* E05: a page table outside RAM. Expected: EPT_VIOLATION at the walk, and no loop. (Bochs sets the
 * accessed bit in a page that EPT has read-only, so that half of the case shows nothing there.) */
#include "tests/hostile/hostile.h"

#define ENTRY 7 /* present, writable, user, and not accessed */

CASE(e05)
{
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull);
    uint64_t *pdpt = pages_alloc(1), *directory = pages_alloc(1);
    uint64_t target = guest_ram_end() + 0x1000;

    pml4[2] = (uintptr_t)pdpt | ENTRY;
    pdpt[0] = (uintptr_t)directory | ENTRY;
    directory[0] = target | ENTRY;
    write_cr3(read_cr3());
    farewell_at(target);
    (void)*(volatile uint64_t *)(2ull << 39);
}
