/* SPDX-License-Identifier: MIT */
/* C10: the trigger of a microcode update and its revision. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c10)
{
    static const uint32_t msrs[] = {0x79, 0x8b, 0xc0010020};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
