/* SPDX-License-Identifier: MIT */
/* C07: PAT and the MTRRs. Expected: #GP: the host's memory types stay as they are. */
#include "tests/hostile/hostile.h"

CASE(c07)
{
    static const uint32_t msrs[] = {
        0x277, 0xfe, 0x2ff, 0x200, 0x201, 0x20f, 0x250, 0x258, 0x268, 0x26f};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
