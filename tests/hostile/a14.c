/* SPDX-License-Identifier: MIT */
/* A14: PAUSE for ever. Expected: the peer stops it, and until then others have their share. */
#include "tests/hostile/hostile.h"

CASE(a14)
{
    farewell();
    interrupts_off();
    for (;;)
        cpu_pause();
}
