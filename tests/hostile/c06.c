/* SPDX-License-Identifier: MIT */
/* C06: DEBUGCTL, branch records and branch trace. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c06)
{
    static const uint32_t msrs[] = {0x1d9, 0x1c8, 0x1c9, 0x1db, 0x1dc, 0x1dd, 0x1de, 0x14ce, 0x600};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
