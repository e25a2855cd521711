/* SPDX-License-Identifier: MIT */
/* C07: PAT and the MTRRs. Expected: #GP: the host's memory types stay as they are. */
#include "tests/hostile/hostile.h"

CASE(c07)
{
    static const uint32_t msrs[] = {0x277, 0xfe, 0x2ff, 0x250, 0x258, 0x259};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
    for (uint32_t msr = 0x200; msr < 0x214; msr++)
        expect_no_msrs(&msr, 1);
    for (uint32_t msr = 0x268; msr < 0x270; msr++)
        expect_no_msrs(&msr, 1);
    for (uint64_t type = 0; type < 8; type++) { /* of all entries of the PAT; the default's */
        expect_vector(try_wrmsr(0x277, type * 0x0101010101010101u), VECTOR_GP, "PAT");
        expect_vector(try_wrmsr(0x2ff, BIT(11) | type), VECTOR_GP, "MTRRdefType");
    }
}
