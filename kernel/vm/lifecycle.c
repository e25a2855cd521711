/* SPDX-License-Identifier: MIT */
/* The life of a vCPU: the table, and the names of its rows and columns. */
#include "kernel/vm/lifecycle.h"

#define BUG VCPU_NEVER

/* By state, then by event in the order of enum vcpu_event:
 * START PICK PREEMPT SLEEP WAKE PAUSE RESUME INIT STOP.
 * START is a SIPI, which only a processor that waits for one takes (SDM Vol. 3A 8.4.3). RESUME does
 * not know what a vCPU waited for: it is runnable, and sleeps again if it still has to. */
const uint8_t vcpu_next_states[VCPU_STATES][VCPU_EVENTS] = {
    [VCPU_CREATED] = {VCPU_RUNNABLE, BUG, BUG, BUG,
                      VCPU_CREATED, VCPU_CREATED, VCPU_CREATED, VCPU_CREATED, VCPU_STOPPED},
    [VCPU_RUNNABLE] = {VCPU_RUNNABLE, VCPU_RUNNING, BUG, VCPU_SLEEPING,
                       VCPU_RUNNABLE, VCPU_PAUSED, VCPU_RUNNABLE, VCPU_CREATED, VCPU_STOPPED},
    [VCPU_RUNNING] = {VCPU_RUNNING, BUG, VCPU_RUNNABLE, VCPU_SLEEPING,
                      VCPU_RUNNING, VCPU_PAUSED, VCPU_RUNNING, VCPU_CREATED, VCPU_STOPPED},
    [VCPU_SLEEPING] = {VCPU_SLEEPING, BUG, BUG, BUG,
                       VCPU_RUNNABLE, VCPU_PAUSED, VCPU_SLEEPING, VCPU_CREATED, VCPU_STOPPED},
    [VCPU_PAUSED] = {VCPU_PAUSED, BUG, BUG, BUG,
                     VCPU_PAUSED, VCPU_PAUSED, VCPU_RUNNABLE, VCPU_CREATED, VCPU_STOPPED},
    [VCPU_STOPPED] = {VCPU_STOPPED, BUG, BUG, BUG,
                      VCPU_STOPPED, VCPU_STOPPED, VCPU_STOPPED, VCPU_STOPPED, VCPU_STOPPED},
};

const char *vcpu_state_name(enum vcpu_state state)
{
    static const char *const names[VCPU_STATES] = {
        [VCPU_CREATED] = "created",   [VCPU_RUNNABLE] = "runnable", [VCPU_RUNNING] = "running",
        [VCPU_SLEEPING] = "sleeping", [VCPU_PAUSED] = "paused",     [VCPU_STOPPED] = "stopped",
    };
    return (unsigned)state < VCPU_STATES ? names[state] : "?";
}

const char *vcpu_event_name(enum vcpu_event event)
{
    static const char *const names[VCPU_EVENTS] = {
        [VCPU_START] = "start", [VCPU_PICK] = "pick",     [VCPU_PREEMPT] = "preempt",
        [VCPU_SLEEP] = "sleep", [VCPU_WAKE] = "wake",     [VCPU_PAUSE] = "pause",
        [VCPU_RESUME] = "resume", [VCPU_INIT] = "init",   [VCPU_STOP] = "stop",
    };
    return (unsigned)event < VCPU_EVENTS ? names[event] : "?";
}
