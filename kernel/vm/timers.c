/* SPDX-License-Identifier: MIT */
/* A core's timers in a red-black tree (libbsd's). Its keys must differ, so equal deadlines are told
 * apart by the order in which they were armed. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/timers.h"

static int compare(const struct timer *left, const struct timer *right)
{
    if (left->deadline != right->deadline)
        return left->deadline < right->deadline ? -1 : 1;
    if (left->sequence != right->sequence)
        return left->sequence < right->sequence ? -1 : 1;
    return 0;
}

/* RB_GENERATE_STATIC names an attribute macro that libbsd does not define. */
RB_GENERATE_INTERNAL(timer_tree, timer, node, compare, static __attribute__((unused)))

void timers_init(struct timers *timers)
{
    RB_INIT(&timers->tree);
    timers->first = NULL;
    timers->armed_count = 0;
}

void timers_arm(struct timers *timers, struct timer *timer, uint64_t deadline)
{
    timer->deadline = deadline;
    timer->sequence = timers->armed_count++;
    timer->armed = true;
    RB_INSERT(timer_tree, &timers->tree, timer);
    if (!timers->first || compare(timer, timers->first) < 0)
        timers->first = timer;
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer->armed)
        return;
    if (timers->first == timer)
        timers->first = RB_NEXT(timer_tree, &timers->tree, timer);
    RB_REMOVE(timer_tree, &timers->tree, timer);
    timer->armed = false;
}

void timers_run(struct timers *timers, uint64_t now, unsigned limit)
{
    for (; limit > 0 && timers->first && timers->first->deadline <= now; limit--) {
        struct timer *timer = timers->first;
        timers_cancel(timers, timer);
        timer->fire(timer); /* from here on it may be armed again, or be no more */
    }
}
