/* SPDX-License-Identifier: MIT */
/* E05: a page table of each level behind RAM, at the APIC, where ROM is, n= of them. Expected:
 * EPT_VIOLATION at the walk, and no loop. (Bochs sets the accessed bit in a page that EPT has
 * read-only, so that part of the case shows nothing there.) */
#include "tests/hostile/hostile.h"

#define ENTRY  7 /* present, writable, user, and not accessed */
#define LEVELS 3 /* PDPT, page directory, page table: B05 has the PML4 */

CASE(e05)
{
    const uint64_t targets[] = {guest_ram_end() + PAGE_SIZE, 0xfee00000, 0xfffff000};
    uint64_t target = targets[variant() / LEVELS];
    uint64_t *entry = (uint64_t *)(read_cr3() & ~0xfffull) + 2;

    for (unsigned level = 0; level < variant() % LEVELS; level++) {
        uint64_t *table = pages_alloc(1);
        *entry = (uintptr_t)table | ENTRY;
        entry = table;
    }
    *entry = target | ENTRY;
    write_cr3(read_cr3());
    farewell_at(target);
    (void)*(volatile uint64_t *)(2ull << 39);
}
