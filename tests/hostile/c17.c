/* SPDX-License-Identifier: MIT */
/* C17: patterns in the MSRs that the guest reaches without an exit, across slices and moves beside
 * others that do the same (n= tells them apart). Expected: each keeps its own, and finds no
 * other's at the start. */
#include "tests/hostile/hostile.h"

static const uint32_t msrs[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102,
                                0xc0000103, 0x174, 0x175, 0x176, 0xc0000100};

static uint64_t pattern(size_t i, uint64_t round)
{
    uint64_t value = (0xa000000ull + variant()) << 8 | i;

    value = value << 8 | (round & 0xff);
    return msrs[i] == 0xc0000103 || msrs[i] == 0x174 || msrs[i] == 0xc0000084 ? value & 0x7fffffff
                                                                           : value;
}

CASE(c17)
{
    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
        expect(rdmsr(msrs[i]) == 0, "MSR %x starts as %lx", msrs[i], rdmsr(msrs[i]));
    for (uint64_t round = 0; round < 300; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
            wrmsr(msrs[i], pattern(i, round));
        if (round % 8 == 0)
            sleep_ms(1);
        else if (round % 8 == 4)
            spin_us(1500);
        else
            atoll_yield();
        for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
            uint64_t now = rdmsr(msrs[i]);
            expect(now == pattern(i, round), "MSR %x is %lx", msrs[i], now);
        }
    }
}
