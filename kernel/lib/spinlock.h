/* SPDX-License-Identifier: MIT */
/* A ticket lock. The host runs with interrupts off except when a core is idle, so a lock taken
 * outside the idle loop needs no saving of RFLAGS.IF. */
#ifndef KERNEL_LIB_SPINLOCK_H
#define KERNEL_LIB_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct spinlock {
    _Atomic uint32_t next;  /* ticket that the next comer draws */
    _Atomic uint32_t owner; /* ticket that holds the lock */
};

static inline void spin_lock(struct spinlock *lock)
{
    /* relaxed: drawing a ticket orders nothing; the acquire below does */
    uint32_t ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);
    while (atomic_load_explicit(&lock->owner, memory_order_acquire) != ticket)
        __builtin_ia32_pause();
}

static inline bool spin_trylock(struct spinlock *lock)
{
    uint32_t owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);
    return atomic_compare_exchange_strong_explicit(&lock->next, &owner, owner + 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void spin_unlock(struct spinlock *lock)
{
    uint32_t owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);
    /* release: what the holder wrote is seen by the next one */
    atomic_store_explicit(&lock->owner, owner + 1, memory_order_release);
}

#endif
