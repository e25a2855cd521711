/* SPDX-License-Identifier: MIT */
/* B12: through all modes: 64-bit, compatibility, 32-bit without paging, PAE paging, 16-bit
 * protected, real, unreal, virtual-8086 and back, 1000 times, with an exit and a call in each.
 * Expected: all of it works, and calls are refused but in 64-bit mode. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

CASE(b12)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t good = run32(walk);
        expect(good == WALK_VISITS, "only %u of %u modes were as they should", good, WALK_VISITS);
    }
}
