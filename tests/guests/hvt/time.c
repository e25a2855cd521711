/* SPDX-License-Identifier: MIT */
/* Time passes, POLL sleeps as long as it is told, and it is not 2016 any more. */
#include "guests/hvt/lib/guest.h"

#define NS_PER_SECOND 1000000000ull
#define SLACK_NS      (NS_PER_SECOND / 5)
#define YEAR_2017     1483228800ull

HVT_DEVICES();

int main(void)
{
    uint64_t start = now_ns();
    bool good = now_ns() > start;

    start = now_ns();
    hvt_poll(0);
    printf("POLL without a timeout takes %lu ns\n", now_ns() - start);
    for (int i = 0; i < 5; i++) {
        start = now_ns();
        uint64_t ready = hvt_poll(NS_PER_SECOND), slept = now_ns() - start;
        printf("slept for %lu ns\n", slept);
        good = good && ready == 0 && slept >= NS_PER_SECOND && slept <= NS_PER_SECOND + SLACK_NS;
    }
    if (!good || hvt_walltime() < YEAR_2017 * NS_PER_SECOND)
        return 1;
    printf("SUCCESS\n");
    return 0;
}
