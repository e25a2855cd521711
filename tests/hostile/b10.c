/* SPDX-License-Identifier: MIT */
/* B10: EFER: LME and LMA under paging, SVME, reserved bits. Expected: #GP, LMA ignored, and EFER
 * as it was. */
#include "tests/hostile/hostile.h"

#define LME BIT(8)
#define LMA BIT(10)

CASE(b10)
{
    uint64_t efer = rdmsr(MSR_EFER), now;

    expect_vector(try_wrmsr(MSR_EFER, efer & ~LME), VECTOR_GP, "LME off while paging");
    for (unsigned bit = 1; bit < 64; bit++) {
        if (bit == 8 || bit == 10 || bit == 11)
            continue;
        int vector = try_wrmsr(MSR_EFER, efer ^ BIT(bit));
        expect(vector == VECTOR_GP, "EFER bit %u: %s", bit, exception_name(vector));
    }
    try_wrmsr(MSR_EFER, efer & ~LMA);
    expect(try_rdmsr(MSR_EFER, &now) == NO_EXCEPTION && now == efer, "EFER became %lx", now);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t wanted = i & 1 ? efer : efer & ~(uint64_t)EFER_SCE;
        wrmsr(MSR_EFER, wanted);
        atoll_yield();
        expect(rdmsr(MSR_EFER) == wanted, "EFER is %lx", rdmsr(MSR_EFER));
    }
    wrmsr(MSR_EFER, efer);
}
