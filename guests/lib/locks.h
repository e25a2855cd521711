/* SPDX-License-Identifier: MIT */
/* What vCPUs of one guest synchronise with: the hypervisor's own ticket lock, and a barrier. A
 * handler that takes a lock needs it to be taken with interrupts off everywhere else. */
#ifndef GUESTS_LIB_LOCKS_H
#define GUESTS_LIB_LOCKS_H

#include <stdatomic.h>

#include "kernel/lib/spinlock.h"

#include "guests/lib/calls.h"
#include "guests/lib/cpu.h"

#define BARRIER_TURNS 1000 /* of waiting before the core is given away */

/* Takes the lock with interrupts off; the result is for spin_unlock_restore. */
static inline uint64_t spin_lock_save(struct spinlock *lock)
{
    uint64_t flags = interrupts_save();
    spin_lock(lock);
    return flags;
}

static inline void spin_unlock_restore(struct spinlock *lock, uint64_t flags)
{
    spin_unlock(lock);
    interrupts_restore(flags);
}

/* All of `parties` vCPUs meet here, again and again. */
struct barrier {
    unsigned parties;
    _Atomic unsigned waiting, generation;
};

/* Returns when all have come. What each wrote before is seen by all behind it. */
static inline void barrier_wait(struct barrier *barrier)
{
    /* acquire: nothing moves up before a meeting that is still going on */
    unsigned generation = atomic_load_explicit(&barrier->generation, memory_order_acquire);

    /* acq_rel: the last one has seen what all others wrote, and hands it on below */
    if (atomic_fetch_add_explicit(&barrier->waiting, 1, memory_order_acq_rel) + 1 ==
        barrier->parties) {
        atomic_store_explicit(&barrier->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&barrier->generation, generation + 1, memory_order_release);
        return;
    }
    for (unsigned turn = 1;
         atomic_load_explicit(&barrier->generation, memory_order_acquire) == generation; turn++) {
        cpu_pause();
        if (turn % BARRIER_TURNS == 0)
            atoll_yield(); /* the others may need this core to come here */
    }
}

#endif
