/* SPDX-License-Identifier: MIT */
/* A12: HLT with interrupts off and nothing pending. Expected: HALTED_FOREVER. */
#include "tests/hostile/hostile.h"

CASE(a12)
{
    farewell();
    interrupts_off();
    halt();
}
