/* SPDX-License-Identifier: MIT */
/* A guest that takes all of a core that it can get, without an exit, and says how much that was.
 * Options: ms=N, how long (200); align=N: from the next multiple of N ms of the wall clock on, so
 * that several of them measure the same time. */
#include "guests/lib/guest.h"

#define DEFAULT_MS 200
#define BATCH      100
#define SETTLE_NS  50000000 /* before a common start, for the other guests' own */

/* No PAUSE: PAUSE-loop exiting would give the slice away. */
static void count_batch(void)
{
    for (unsigned i = 0; i < BATCH; i++)
        __asm__ volatile("");
}

/* To the next multiple of `ms` of the wall clock; 0 where there is no such clock. */
static uint64_t left_ns(uint64_t ms)
{
    int64_t wall = atoll_wall_clock();
    return ms == 0 || wall < 0 ? 0 : ms * 1000000 - (uint64_t)wall % (ms * 1000000);
}

/* Returns when that is, whenever this guest's turn comes. It sleeps twice: where many guests boot
 * at once, a slice often ends between a look at the clock and the sleep, which then is too long. */
static uint64_t wait_for_common_start(uint64_t ms)
{
    uint64_t left = left_ns(ms);
    if (left > SETTLE_NS)
        atoll_sleep_for(left - SETTLE_NS);
    left = left_ns(ms);
    uint64_t start = now_ns() + left;
    if (left > 0)
        atoll_sleep_for(left);
    return start;
}

int main(void)
{
    uint64_t ns = guest_option_number("ms", DEFAULT_MS) * 1000000;
    struct atoll_vm_info before = {0}, after = {0};
    uint64_t batches = 0;

    uint64_t start_ns = wait_for_common_start(guest_option_number("align", 0));
    if (atoll_vm_info(&before) < 0)
        return 1;
    uint64_t start = rdtsc();
    while (now_ns() - start_ns < ns) {
        count_batch();
        batches++;
    }
    uint64_t ticks = rdtsc() - start;
    if (atoll_vm_info(&after) < 0 || ticks == 0)
        return 1;
    uint64_t permille = (after.run_ticks - before.run_ticks) * 1000 / ticks;
    printf("hog: %lu thousand turns in %lu ms, had %lu.%lu %% of a core, %lu ticks\n",
           batches * BATCH / 1000, ns / 1000000, permille / 10, permille % 10,
           after.run_ticks - before.run_ticks);
    return 0;
}
