/* SPDX-License-Identifier: MIT */
/* E02: a write that begins in the last bytes of RAM and ends behind it. Expected: EPT_VIOLATION.
 * */
#include "tests/hostile/hostile.h"

CASE(e02)
{
    uint64_t end = guest_ram_end();

    farewell_at(end);
    if (variant() == 0)
        *(volatile uint64_t *)(end - 4) = UINT64_MAX;
    else
        __asm__ volatile("movups %%xmm0, (%0)" : : "r"(end - 15) : "memory");
}
