/* SPDX-License-Identifier: MIT */
/* D08: REP INS and OUTS with 2^63 elements, backwards, over FS, at addresses that are none, across
 * the end of RAM and into a page that is not mapped. Expected: #GP at once, with all registers as
 * they were. */
#include "tests/hostile/hostile.h"

static uint8_t bytes[64];

CASE(d08)
{
    static const uint64_t counts[] = {1, 4, 65536, UINT32_MAX, BIT(63), UINT64_MAX};
    uint8_t *two = pages_alloc(2); /* the second page is taken away: mid-way */
    const uint64_t places[] = {(uintptr_t)bytes, 0, guest_ram_end(), guest_ram_end() - 2, BIT(63),
                               4 * GIB - 2, (uintptr_t)two + PAGE_SIZE - 2,
                               (uintptr_t)two + PAGE_SIZE};
    page_protect(two + PAGE_SIZE, PAGE_NONE);

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(places); j++) {
            for (unsigned how = 0; how < 4; how++) {
                uint64_t count = counts[i], rsi = places[j], rdi = places[j];
                int vector;
                if (how & 2)
                    __asm__ volatile("std");
                if (how & 1)
                    vector = ATTEMPT("fs rep outsl", : "+S"(rsi), "+c"(count) : "d"(0x80)
                                     : "memory");
                else
                    vector = ATTEMPT("rep insw", : "+D"(rdi), "+c"(count) : "d"(0x80) : "memory");
                __asm__ volatile("cld");
                expect(vector == VECTOR_GP || vector == VECTOR_PF || vector == 12,
                       "string I/O: %s", exception_name(vector));
                expect(count == counts[i] && rsi == places[j] && rdi == places[j],
                       "string I/O moved its registers");
            }
        }
    }
    for (size_t i = 0; i < sizeof(bytes); i++)
        expect(bytes[i] == 0, "byte %zu was written", i);
}
