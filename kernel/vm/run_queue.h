/* SPDX-License-Identifier: MIT */
/* A core's run queue: who waits, in the order of virtual time. Virtual time is time on a core
 * divided by weight; who has had least of it is next, so each gets its share. The queue is a ring
 * of buckets of virtual time with a bitmap over them: adding, taking and removing cost the same
 * for any number of entries. Pure. */
#ifndef KERNEL_VM_RUN_QUEUE_H
#define KERNEL_VM_RUN_QUEUE_H

#include <sys/queue.h>

#include "kernel/lib/types.h"

#define RUN_QUEUE_BUCKETS 2048
#define LAG_DIVISOR       64
#define SLICE_DIVISOR     24 /* the shortest slice is the longest divided by this */
#define RING_SLICES       16 /* the ring spans so many of the longest slices, at least */
#define REACH_SLICES      4  /* of them behind the queue's time */
#define GAIN_SLICES       10 /* an entry is to gain no more than so many in one */
#define WEIGHT_MIN        1
#define WEIGHT_DEFAULT    100
#define WEIGHT_MAX        1000

/* What is queued: a vCPU has one. */
struct run_entry {
    uint64_t vtime;   /* ticks on a core * WEIGHT_DEFAULT / weight, a scale that all cores share */
    uint32_t inverse; /* of the weight, 16.16 fixed point: WEIGHT_DEFAULT / weight */
    uint32_t bucket;  /* while queued */
    bool queued;
    TAILQ_ENTRY(run_entry) link;
};
TAILQ_HEAD(run_list, run_entry);

/* Virtual times are compared by the sign of their difference: they may wrap, after two years of an
 * entry of weight 1 alone. Who was away for half of that looks ahead and waits once. */
struct run_queue {
    uint64_t vtime;   /* of the entry that was taken last, or later: it only grows */
    uint64_t slice;   /* the longest, in TSC ticks */
    uint64_t lag_max; /* who slept is at most so far behind `vtime`: sleep gives no claim */
    uint32_t shift;   /* a bucket is 2^shift wide */
    uint32_t count;   /* entries */
    bool idle;        /* the last run_queue_take found none: no entry of this queue runs */
    uint64_t summary; /* bit n: words[n] is not 0 */
    uint64_t words[RUN_QUEUE_BUCKETS / 64];
    struct run_list buckets[RUN_QUEUE_BUCKETS];
};

/* An empty queue. `slice` is the longest slice in TSC ticks. */
void run_queue_init(struct run_queue *queue, uint64_t slice);

/* How long an entry may run where others get `slice` ticks: a light one shorter, down to a tenth of
 * the longest slice, so that what it gains in virtual time fits the ring. The narrower the ring,
 * the more exact is the order in it. */
uint64_t run_queue_slice(const struct run_queue *queue, const struct run_entry *entry,
                         uint64_t slice);

/* An entry that had nothing yet. A weight beyond WEIGHT_MIN or WEIGHT_MAX counts as that one. */
void run_entry_init(struct run_entry *entry, uint32_t weight);

/* Who comes back from sleep, or is new, has no claim for the time when it did not want to run: its
 * virtual time is lifted to the queue's less a LAG_DIVISOR of the longest slice. That little makes
 * it come before those who ran. */
void run_queue_lift(const struct run_queue *queue, struct run_entry *entry);

/* Adds an entry, which is in no queue, at its virtual time; that is first brought within the ring.
 * Who waited on another core keeps its claim.
 *
 * Fairness across cores: virtual time is that of whoever runs. Where nobody runs and nobody waits,
 * an entry from a core that is ahead takes the queue's time along and keeps its own; dragged back
 * it would gain, on every core, what it was dragged. Where somebody runs, the queue's time stays,
 * even if it is empty: else an entry that had more than its share could come back from a short
 * sleep and make the others' claims void.
 *
 * Bounded wait: whoever waits at virtual time v, d ahead of the queue's, waits at most the sum over
 * all others of weight / WEIGHT_DEFAULT * (d + their lag + a bucket's width) plus one slice each. d
 * is what the entry gained in its last slice, and never more than the ring's span. */
void run_queue_add(struct run_queue *queue, struct run_entry *entry);

/* Takes a queued entry out, wherever it is. */
void run_queue_remove(struct run_queue *queue, struct run_entry *entry);

/* The entry that is next, without taking it; NULL when the queue is empty. */
struct run_entry *run_queue_first(const struct run_queue *queue);

/* The one behind `entry` in the order of buckets; NULL at the end. Costs the same everywhere. */
struct run_entry *run_queue_after(const struct run_queue *queue, const struct run_entry *entry);

/* Takes the first one; the queue's virtual time moves up to its. NULL when there is none; a core
 * that finds nothing to run learns it from here, so that the queue knows it too. */
struct run_entry *run_queue_take(struct run_queue *queue);

/* Nobody runs and nobody waits: what run_queue_lift, run_queue_add and run_queue_take come to for
 * an entry that is to run at once. */
void run_queue_pass(struct run_queue *queue, struct run_entry *entry);

/* Is `a` to come before `b`? */
static inline bool run_entry_before(const struct run_entry *a, const struct run_entry *b)
{
    return (int64_t)(a->vtime - b->vtime) < 0;
}

/* An entry that is not queued gives way to the one that is next, whatever it had so far. */
void run_queue_yield(const struct run_queue *queue, struct run_entry *entry);

/* The queue is empty, and `entry` runs. If another core's have come to `vtime`, further ahead than
 * the ring reaches, both are lifted to within its reach: what is less keeps others from coming to
 * this core before they are due. */
void run_queue_catch_up(struct run_queue *queue, struct run_entry *entry, uint64_t vtime);

/* Charges `ticks` on a core to an entry, which is not queued; at most 2^40 of them. */
void run_entry_charge(struct run_entry *entry, uint64_t ticks);

#endif
