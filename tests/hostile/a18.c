/* SPDX-License-Identifier: MIT */
/* A18: INVLPG and INVPCID of addresses and types that are none. Expected: what the processor says,
 * nothing for INVLPG, #GP or #UD for INVPCID; a descriptor outside RAM ends the guest (n=1). */
#include "tests/hostile/hostile.h"

struct descriptor {
    uint64_t pcid, address;
} __attribute__((aligned(16)));

static int try_invpcid(uint64_t type, const struct descriptor *descriptor)
{
    return ATTEMPT("invpcid %0, %1", : : "m"(*descriptor), "r"(type) : "memory");
}

CASE(a18)
{
    static const uint64_t addresses[] = {0, 1, BIT(47), UINT64_MAX, BIT(63), 0x00007fffffffffff,
                                         0xffff800000000000, 0xffffffff80000000};
    struct descriptor d = {0, 0};
    bool has = cpu_has(CPUID_INVPCID);

    if (variant() == 1) {
        farewell_at(guest_ram_end());
        if (has)
            try_invpcid(2, (const struct descriptor *)guest_ram_end());
        else
            (void)*(volatile uint64_t *)guest_ram_end();
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        expect_vector(ATTEMPT("invlpg (%0)", : : "r"(addresses[i]) : "memory"), NO_EXCEPTION,
                      "INVLPG");
        d.address = addresses[i];
        int vector = try_invpcid(0, &d);
        int wanted = !has ? VECTOR_UD
                     : (int64_t)(d.address << 16) >> 16 != (int64_t)d.address ? VECTOR_GP
                                                                              : NO_EXCEPTION;
        expect(vector == wanted, "INVPCID of %lx: %s", d.address, exception_name(vector));
    }
    d.address = 0;
    for (uint64_t type = 0; type < 8; type++) {
        d.pcid = 0;
        int vector = try_invpcid(type, &d);
        expect(vector == (!has ? VECTOR_UD : type < 4 ? NO_EXCEPTION : VECTOR_GP),
               "INVPCID type %lu: %s", type, exception_name(vector));
    }
    d.pcid = 0x1000;
    expect_vector(try_invpcid(1, &d), has ? VECTOR_GP : VECTOR_UD, "INVPCID of PCID 4096");
    expect_vector(try_invpcid(UINT64_MAX, &d), has ? VECTOR_GP : VECTOR_UD, "INVPCID type -1");
}
