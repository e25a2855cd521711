/* SPDX-License-Identifier: MIT */
/* A guest that says twice a second for how long it did not run at most, by its own TSC. It is the
 * first VM; all others sleep. */
#include "guests/lib/guest.h"

#define SLEEP_NS (3600 * 1000000000ull)

/* The longest gap between two readings of the TSC in so many ticks. */
static uint64_t longest_gap(uint64_t ticks)
{
    uint64_t begin = rdtsc(), last = begin, longest = 0;
    while (last - begin < ticks) {
        uint64_t now = rdtsc();
        if (now - last > longest)
            longest = now - last;
        last = now;
    }
    return longest;
}

int main(void)
{
    uint64_t hz = tsc_hz();

    if (cpuid(ATOLL_CPUID_INFO, 0).ebx != 0) {
        atoll_sleep_for(SLEEP_NS);
        return 1;
    }
    for (;;)
        printf("gap %u us\n", (unsigned)(longest_gap(hz / 2) * 1000000 / hz));
}
