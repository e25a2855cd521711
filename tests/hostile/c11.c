/* SPDX-License-Identifier: MIT */
/* C11: SPEC_CTRL, PRED_CMD, FLUSH_CMD, TSX_CTRL, ARCH_CAPABILITIES. Expected: #GP. */
#include "tests/hostile/hostile.h"

CASE(c11)
{
    static const uint32_t msrs[] = {0x48, 0x49, 0x10a, 0x10b, 0x122, 0x123, 0xcf};

    expect_no_msrs(msrs, ARRAY_SIZE(msrs));
}
