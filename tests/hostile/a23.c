/* SPDX-License-Identifier: MIT */
/* A23: CMPXCHG8B, CMPXCHG16B and BTS with a negative bit offset that reach outside RAM. Expected:
 * EPT_VIOLATION there. */
#include "tests/hostile/hostile.h"

CASE(a23)
{
    uint64_t end = guest_ram_end();

    switch (variant()) {
    case 0:
        farewell_at(end);
        __asm__ volatile("lock cmpxchg8b (%0)" : : "r"(end), "a"(0), "d"(0), "b"(0), "c"(0));
        break;
    case 1:
        farewell_at(end);
        __asm__ volatile("lock cmpxchg16b (%0)" : : "r"(end), "a"(0), "d"(0), "b"(0), "c"(0));
        break;
    case 2: /* 64 bits below */
        farewell_at(end + 4096 - 8);
        __asm__ volatile("lock btsq %1, (%0)" : : "r"(end + 4096), "r"(-64l) : "memory");
        break;
    }
}
