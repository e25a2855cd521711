/* SPDX-License-Identifier: MIT */
/* B07: LMSW and SMSW with register and memory, CLTS. Expected: each is decoded rightly; LMSW does
 * not clear PE and changes no bit above 3. */
#include "tests/hostile/hostile.h"

static uint16_t memory;

CASE(b07)
{
    uint64_t cr0 = read_cr0();
    uint16_t word;

    for (unsigned i = 0; i < 16; i++) {
        uint16_t value = (uint16_t)((cr0 & 0xfff0) | i);
        if (i & 1)
            __asm__ volatile("lmsw %0" : : "r"(value));
        else
            __asm__ volatile("lmsw %0" : : "m"(value));
        uint64_t now = read_cr0();
        __asm__ volatile("smsw %0" : "=m"(memory));
        __asm__ volatile("smsw %0" : "=r"(word));
        __asm__ volatile("clts");
        uint64_t cleared = read_cr0();
        write_cr0(cr0);
        expect((now & 15) == (i | X86_CR0_PE), "LMSW %u gives %lx", i, now);
        expect((now & ~15ull) == (cr0 & ~15ull), "LMSW %u changes %lx to %lx", i, cr0, now);
        expect(memory == (uint16_t)now && word == (uint16_t)now, "SMSW %x, %x", memory, word);
        expect(cleared == (now & ~X86_CR0_TS), "CLTS gives %lx", cleared);
    }
    __asm__ volatile("lmsw %0" : : "r"((uint16_t)0xfff1)); /* what is above bit 3 is not written */
    uint64_t after = read_cr0();
    write_cr0(cr0);
    expect((after & ~15ull) == (cr0 & ~15ull), "LMSW of fff1 gives %lx", after);
}
