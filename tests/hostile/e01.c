/* SPDX-License-Identifier: MIT */
/* E01: a read, a write and a call at each of: the edges of RAM, the holes below 4 GiB, where the
 * I/O APIC, the HPET, the APIC and ROM are in a machine, and the top of physical memory. Expected:
 * EPT_VIOLATION that names the address, and no mapping appears. */
#include "tests/hostile/hostile.h"

#define READ    0
#define WRITE   1
#define EXECUTE 2
#define KINDS   3
#define TOP     UINT64_MAX /* the last word that the processor can address */
#define RAM_END 0

CASE(e01)
{
    static const uint64_t places[] = {RAM_END,    RAM_END + PAGE_SIZE, 0xfec00000, 0xfee00000,
                                      0xfed00000, 4 * GIB - 8,         4 * GIB,    TOP,
                                      0xc0000000, 0xa0000 - 8 + GIB,   0xfffbc000};
    uint64_t address = places[variant() / KINDS];
    unsigned how = variant() % KINDS;

    if (address == TOP)
        address = BIT(cpuid(0x80000008, 0).eax & 0xff) - 8;
    else if (address < PAGE_SIZE_2M)
        address += guest_ram_end();
    if (address >= 4 * GIB)
        map_far(address);
    if (how == EXECUTE) {
        /* large pages of start.asm are not executable: one of its own that is */
        uint64_t alias = 4 * GIB + (address & (PAGE_SIZE_2M - 1));
        map_far(alias);
        uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull);
        uint64_t *pdpt = (uint64_t *)(pml4[0] & ~0xfffull);
        uint64_t *directory = (uint64_t *)(pdpt[4] & ~0xfffull);
        directory[0] = ALIGN_DOWN(address, PAGE_SIZE_2M) | 0x83;
        write_cr3(read_cr3());
        farewell_at(address);
        ((void (*)(void))alias)();
        return;
    }
    farewell_at(address);
    if (how == WRITE)
        *(volatile uint64_t *)address = 1;
    else
        (void)*(volatile uint64_t *)address;
}
