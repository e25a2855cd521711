/* SPDX-License-Identifier: MIT */
/* C09: FEATURE_CONTROL, the VMX capabilities, AMD's VM_CR and VM_HSAVE_PA. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c09)
{
    static const uint32_t msrs[] = {
        0x3a, 0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488, 0x489, 0x48a, 0x48b,
        0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491, 0xc0010114, 0xc0010117};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
