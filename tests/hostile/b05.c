/* SPDX-License-Identifier: MIT */
/* B05: CR3 with reserved bits. Expected: #GP. CR3 outside RAM (n=1), at an APIC (n=2), at the top
 * of what the processor addresses (n=3), where ROM is (n=4). Expected: EPT_VIOLATION at the
 * walk. */
#include "tests/hostile/hostile.h"

#define APIC_PAGE 0xfee00000ull
#define ROM_PAGE  0xfffff000ull /* of the machine; a guest has none */

static unsigned address_bits(void)
{
    return cpuid(0x80000008, 0).eax & 0xff;
}

static void load(uint64_t table)
{
    farewell();
    write_cr3(table);
}

CASE(b05)
{
    uint64_t cr3 = read_cr3();

    switch (variant()) {
    case 1:
        load(guest_ram_end());
        return;
    case 2:
        load(APIC_PAGE);
        return;
    case 3:
        load(BIT(address_bits()) - PAGE_SIZE);
        return;
    case 4:
        load(ROM_PAGE);
        return;
    }
    for (unsigned bit = address_bits(); bit < 64; bit++) {
        int vector = ATTEMPT("mov %0, %%cr3", : : "r"(cr3 | BIT(bit)) : "memory");
        expect(vector == VECTOR_GP, "CR3 bit %u: %s", bit, exception_name(vector));
        expect(read_cr3() == cr3, "CR3 became %lx", read_cr3());
    }
}
