/* SPDX-License-Identifier: MIT */
/* C14: processor trace and the last-branch records. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c14)
{
    static const uint32_t msrs[] = {
        0x560, 0x561, 0x570, 0x571, 0x572, 0x580, 0x581, 0x680, 0x6c0, 0x1200};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
