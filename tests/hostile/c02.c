/* SPDX-License-Identifier: MIT */
/* C02: WRMSR of the same numbers, with 0, -1, bit 63 and random values. Expected: #GP for all that
 * is no register of the guest. */
#include "tests/hostile/hostile.h"

/* The guest's own: those would change what it runs on, and other cases write them. */
static bool is_own(uint32_t msr)
{
    return msr == 0x1b || (msr >= 0x174 && msr <= 0x176) || msr == 0x6e0 ||
           (msr >= 0x800 && msr <= 0x8ff) || (msr >= 0xc0000080 && msr <= 0xc0000084) ||
           (msr >= 0xc0000100 && msr <= 0xc0000103);
}

static void try(uint32_t msr)
{
    const uint64_t values[] = {0, UINT64_MAX, BIT(63), random_next()};

    if (is_own(msr))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        int vector = try_wrmsr(msr, values[i]);
        expect(vector == VECTOR_GP, "WRMSR 0x%x of %lx: %s", msr, values[i],
               exception_name(vector));
    }
}

CASE(c02)
{
    static const uint32_t ranges[][2] = {
        {0, 0x2000}, {0xc0000000, 0xc0002000}, {0xc0010000, 0xc0012000}, {0x40000000, 0x40000200},
        {0x4b564d00, 0x4b564d10}};

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        for (uint32_t msr = ranges[i][0]; msr < ranges[i][1]; msr++)
            try(msr);
    for (unsigned i = 0; i < 500; i++)
        try((uint32_t)random_next());
    try(UINT32_MAX);
}
