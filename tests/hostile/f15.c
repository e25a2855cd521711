/* SPDX-License-Identifier: MIT */
/* F15: an entry whose list of MSRs is no list: there is one, of which the count says 1, at address
 * 0. Expected: ENTRY_FAIL_MSR. */
#include "tests/hostile/fields.h"

CASE(f15)
{
    static const struct flip flips[] = {{0x4014, 0}}; /* VM-entry MSR-load count */

    flip_one(flips, ARRAY_SIZE(flips));
}
