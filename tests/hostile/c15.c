/* SPDX-License-Identifier: MIT */
/* C15: SMBASE, SMM_MONITOR_CTL, the count of SMIs. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c15)
{
    static const uint32_t msrs[] = {0x9e, 0x9b, 0x34, 0xc0010111, 0xc0010112, 0xc0010113};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
