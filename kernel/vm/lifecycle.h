/* SPDX-License-Identifier: MIT */
/* The life of a vCPU as one table: states, events, and what follows. Everything that changes a
 * vCPU's state asks here. Pure. */
#ifndef KERNEL_VM_LIFECYCLE_H
#define KERNEL_VM_LIFECYCLE_H

#include <linux/errno.h>

#include "kernel/lib/types.h"

enum vcpu_state {
    VCPU_CREATED,  /* waits for its start: by the loader, by SIPI, by ATOLL_CALL_START_VCPU */
    VCPU_RUNNABLE, /* in the run queue of its core */
    VCPU_RUNNING,  /* on its core */
    VCPU_SLEEPING, /* until an interrupt or a time, or until its cap allows it to run on */
    VCPU_PAUSED,   /* by the operator; takes no part in anything until it is resumed */
    VCPU_STOPPED,  /* the end: its VM has a reason. Never left */
    VCPU_STATES
};

enum vcpu_event {
    VCPU_START,   /* SIPI and the like: it has its first instruction */
    VCPU_PICK,    /* the scheduler gives it the core */
    VCPU_PREEMPT, /* and takes it away: end of slice, or it yields */
    VCPU_SLEEP,   /* it waits for something */
    VCPU_WAKE,    /* what it waited for is there */
    VCPU_PAUSE,
    VCPU_RESUME,
    VCPU_INIT,    /* INIT from another vCPU: back to waiting for its start */
    VCPU_STOP,
    VCPU_EVENTS
};

#define VCPU_NEVER VCPU_STATES /* what cannot happen there */

/* By state, then by event. */
extern const uint8_t vcpu_next_states[VCPU_STATES][VCPU_EVENTS];

/* The state behind `event` in `state`. 0 with `next`, which may be the same state where the event
 * has no effect (a wake-up of a paused vCPU; a second stop); -EINVAL when it cannot happen there,
 * which is a host bug. */
MUST_CHECK static inline int vcpu_next_state(enum vcpu_state state, enum vcpu_event event,
                                             enum vcpu_state *next)
{
    if ((unsigned)state >= VCPU_STATES || (unsigned)event >= VCPU_EVENTS)
        return -EINVAL;
    uint8_t found = vcpu_next_states[state][event];
    if (found == VCPU_NEVER)
        return -EINVAL;
    *next = (enum vcpu_state)found;
    return 0;
}

const char *vcpu_state_name(enum vcpu_state state);
const char *vcpu_event_name(enum vcpu_event event);

#endif
