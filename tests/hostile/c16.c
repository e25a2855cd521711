/* SPDX-License-Identifier: MIT */
/* C16: MISC_ENABLE, PLATFORM_INFO, frequency, power and heat. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c16)
{
    static const uint32_t msrs[] = {
        0x1a0, 0xce, 0x198, 0x199, 0x19a, 0x19b, 0x19c, 0x1a2, 0x1ad, 0x1b0, 0x1b1, 0x606, 0x610,
        0x611, 0x770, 0x774, 0xe2, 0xe7, 0xe8};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
