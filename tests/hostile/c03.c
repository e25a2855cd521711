/* SPDX-License-Identifier: MIT */
/* C03: addresses that are not canonical, into the MSRs that hold addresses. Expected: #GP, and the
 * registers as they were. */
#include "tests/hostile/hostile.h"

CASE(c03)
{
    static const uint32_t msrs[] = {0xc0000100, 0xc0000101, 0xc0000102, 0xc0000082, 0xc0000083,
                                    0x175, 0x176};
    static const uint64_t bad[] = {BIT(47), BIT(63), 0x7fffffffffffffff, 0xffff7fffffffffff,
                                   0x0001000000000000};

    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
        uint64_t before = rdmsr(msrs[i]);
        for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
            int vector = try_wrmsr(msrs[i], bad[j]);
            expect(vector == VECTOR_GP, "MSR 0x%x=%lx: %s", msrs[i], bad[j],
                   exception_name(vector));
            atoll_yield();
            expect(rdmsr(msrs[i]) == before, "MSR 0x%x became %lx", msrs[i], rdmsr(msrs[i]));
        }
    }
}
