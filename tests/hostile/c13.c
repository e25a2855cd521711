/* SPDX-License-Identifier: MIT */
/* C13: performance monitoring. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c13)
{
    static const uint32_t msrs[] = {
        0xc1, 0xc2, 0x186, 0x187, 0x309, 0x30a, 0x345, 0x38d, 0x38e, 0x38f, 0x390, 0x3f1, 0x600,
        0x4c1};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
