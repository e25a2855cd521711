/* SPDX-License-Identifier: MIT */
/* C01: RDMSR of all numbers of the usual ranges and of samples beyond. Expected: #GP but for a
 * short list, and no value of the host. */
#include "tests/hostile/hostile.h"

static bool is_open(uint32_t msr)
{
    return msr == 0x10 || msr == 0x1b || (msr >= 0x174 && msr <= 0x176) || msr == 0x6e0 ||
           (msr >= 0x800 && msr <= 0x8ff) || (msr >= 0xc0000080 && msr <= 0xc0000084) ||
           (msr >= 0xc0000100 && msr <= 0xc0000103);
}

static void try(uint32_t msr)
{
    uint64_t value = 0;
    int vector = try_rdmsr(msr, &value);

    if (vector == NO_EXCEPTION) {
        expect(is_open(msr), "MSR 0x%x can be read", msr);
        expect(value < BIT(47) || msr == 0x6e0, "MSR 0x%x is 0x%lx: of the host?", msr, value);
        look(value);
    } else {
        expect(vector == VECTOR_GP, "RDMSR 0x%x: %s", msr, exception_name(vector));
    }
}

CASE(c01)
{
    static const uint32_t ranges[][2] = {
        {0, 0x2000}, {0xc0000000, 0xc0002000}, {0xc0010000, 0xc0012000}, {0x40000000, 0x40000200},
        {0x4b564d00, 0x4b564d10}};

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        for (uint32_t msr = ranges[i][0]; msr < ranges[i][1]; msr++)
            try(msr);
    for (unsigned i = 0; i < 2000; i++)
        try((uint32_t)random_next());
    try(UINT32_MAX);
}
