/* SPDX-License-Identifier: MIT */
/* F03: #AC at CPL 3 of 32-bit code, whose handler runs there, too, on a stack that is not aligned:
 * the delivery causes the next #AC, for ever. Expected: it stays preemptible, and the peer stops
 * it. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

CASE(f03)
{
    farewell();
    run32(alignment_loop);
}
