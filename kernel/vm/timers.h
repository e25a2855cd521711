/* SPDX-License-Identifier: MIT */
/* A core's timers, ordered by time: a tree whose first node is at hand. Pure. */
#ifndef KERNEL_VM_TIMERS_H
#define KERNEL_VM_TIMERS_H

#include <bsd/sys/tree.h>

#include "kernel/lib/types.h"

struct timer {
    uint64_t deadline;                 /* TSC of the host */
    uint64_t sequence;                 /* of the arming: the order among equal deadlines */
    void (*fire)(struct timer *timer); /* called once; the timer is out of the tree by then */
    bool armed;
    RB_ENTRY(timer) node;
};

RB_HEAD(timer_tree, timer);

struct timers {
    struct timer_tree tree;
    struct timer *first;  /* the earliest, NULL: none */
    uint64_t armed_count; /* armings so far: the next one's sequence */
};

void timers_init(struct timers *timers);

/* Arms a timer that is not armed. Those of equal time fire in the order of their arming. */
void timers_arm(struct timers *timers, struct timer *timer, uint64_t deadline);

/* Takes an armed timer out; nothing happens to one that is not armed. */
void timers_cancel(struct timers *timers, struct timer *timer);

/* The earliest deadline, UINT64_MAX: none. */
static inline uint64_t timers_next(const struct timers *timers)
{
    return timers->first ? timers->first->deadline : UINT64_MAX;
}

/* Fires all that are due at `now`, earliest first, at most `limit`. A timer that fires may arm
 * itself again and arm or cancel any other; one that is due again at once counts again. */
void timers_run(struct timers *timers, uint64_t now, unsigned limit);

#endif
