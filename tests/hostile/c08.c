/* SPDX-License-Identifier: MIT */
/* C08: TSC, TSC_ADJUST and TSC_DEADLINE. Expected: #GP for the first two, any deadline is taken,
 * and time goes on. */
#include "tests/hostile/hostile.h"

#define MSR_TSC        0x10u
#define MSR_TSC_ADJUST 0x3bu
#define MSR_DEADLINE   0x6e0u

CASE(c08)
{
    static const uint32_t adjust = MSR_TSC_ADJUST;
    static const uint64_t values[] = {0, 1, BIT(63), UINT64_MAX, UINT64_MAX - 1, BIT(32)};
    uint64_t last = rdtsc(), value;

    expect_no_msrs(&adjust, 1);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        expect_vector(try_wrmsr(MSR_TSC, values[i]), VECTOR_GP, "WRMSR of the TSC");
        expect(rdtsc() > last, "the TSC runs back");
        expect_vector(try_wrmsr(MSR_DEADLINE, values[i]), NO_EXCEPTION, "a deadline");
        last = rdtsc();
    }
    wrmsr(MSR_DEADLINE, 0);
    expect(try_rdmsr(MSR_TSC, &value) == NO_EXCEPTION && value >= last && value <= rdtsc(),
           "RDMSR of the TSC is %lu", value);
}
