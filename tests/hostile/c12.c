/* SPDX-License-Identifier: MIT */
/* C12: the machine-check registers. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c12)
{
    static const uint32_t msrs[] = {
        0x179, 0x17a, 0x17b, 0x4d0, 0x280, 0x281, 0x400, 0x401, 0x402, 0x403, 0x404, 0x47f};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
