/* SPDX-License-Identifier: MIT */
/* B13: data segments of odd kinds (expand-down, limit 0, 16-bit, conforming and readable code,
 * base beyond RAM), and exits with them loaded. Expected: no failed entry, and they stay as
 * loaded. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

#define KINDS 8

/* Limit, type and flags; the last has a base. */
static const uint64_t kinds[KINDS] = {
    0x00cf97000000ffff, /* expand-down, 4 GiB */
    0x0000970000000000, /* expand-down, limit 0, 16-bit */
    0x0000930000000000, /* limit 0 */
    0x00409300000000ff, /* 256 bytes */
    0x00cf9f000000ffff, /* conforming code that can be read */
    0x00af9b000000ffff, /* 64-bit code in a data register */
    0x00cff1000000ffff, /* read-only, DPL 3 */
    0xfecf93fffffeffff, /* a base far out */
};

CASE(b13)
{
    static uint64_t table[8 + KINDS];
    struct descriptor_pointer old;

    __asm__ volatile("sgdt %0" : "=m"(old));
    memcpy(table, (const void *)old.base, MIN(old.limit + 1ul, 8 * sizeof(*table)));
    memcpy(table + 8, kinds, sizeof(kinds));
    interrupts_off();
    lgdt(table, sizeof(table));
    for (unsigned i = 0; i < KINDS; i++) {
        uint32_t selector = (8 + i) * 8, ds, es, fs;
        int vector = ATTEMPT("mov %0, %%ds\n"
                             "mov %0, %%es\n"
                             "mov %0, %%fs\n",
                             : : "r"(selector) : "memory");
        expect_vector(vector, NO_EXCEPTION, "loading a segment");
        for (unsigned j = 0; j < 5; j++) {
            cpuid(0, 0);
            atoll_yield();
        }
        __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2" : "=r"(ds), "=r"(es), "=r"(fs));
        expect(ds == selector && es == selector && fs == selector, "segments became %x %x %x", ds,
               es, fs);
    }
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs" : : "r"(SELECTOR_DATA), "r"(0));
    lgdt((const void *)old.base, old.limit + 1ul);
    interrupts_on();
}
