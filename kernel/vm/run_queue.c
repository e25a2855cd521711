/* SPDX-License-Identifier: MIT */
/* A core's run queue: a ring of buckets of virtual time that starts REACH_SLICES behind the
 * queue's. What is queued lies within one turn of it, so a bucket's index says its place. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/run_queue.h"

#include <string.h>

#define FIXED_ONE BIT(16)
#define TICKS_MAX BIT(40) /* of a slice or a charge: minutes, and no product overflows */

_Static_assert(TICKS_MAX <= UINT64_MAX / (WEIGHT_DEFAULT * FIXED_ONE), "a charge fits");
_Static_assert(RUN_QUEUE_BUCKETS / 64 <= 64, "one word sums up the bitmap");

static bool is_before(uint64_t left, uint64_t right)
{
    return (int64_t)(left - right) < 0;
}

/* The start of the ring: no queued entry's bucket lies before its. */
static uint64_t earliest(const struct run_queue *queue)
{
    return queue->vtime - REACH_SLICES * queue->slice;
}

/* The last virtual time of the ring's turn. */
static uint64_t latest(const struct run_queue *queue)
{
    uint64_t width = BIT(queue->shift);
    return ALIGN_DOWN(earliest(queue), width) + (RUN_QUEUE_BUCKETS * width - 1);
}

static uint32_t bucket_of(const struct run_queue *queue, uint64_t vtime)
{
    return (vtime >> queue->shift) % RUN_QUEUE_BUCKETS;
}

/* A bucket's place in the ring's turn. */
static uint32_t place_of(const struct run_queue *queue, uint32_t bucket)
{
    return (bucket - bucket_of(queue, earliest(queue))) % RUN_QUEUE_BUCKETS;
}

static void mark(struct run_queue *queue, uint32_t bucket)
{
    queue->words[bucket / 64] |= BIT(bucket % 64);
    queue->summary |= BIT(bucket / 64);
}

static void unmark(struct run_queue *queue, uint32_t bucket)
{
    queue->words[bucket / 64] &= ~BIT(bucket % 64);
    if (!queue->words[bucket / 64])
        queue->summary &= ~BIT(bucket / 64);
}

/* The first bucket with entries from `start` on, around the ring. The queue is not empty. */
static uint32_t find_from(const struct run_queue *queue, uint32_t start)
{
    uint32_t word = start / 64;
    uint64_t rest = queue->words[word] & (UINT64_MAX << start % 64);
    if (!rest) {
        /* A later word, else the first of all: the lower half of the start's word comes last. */
        uint64_t later = queue->summary & (UINT64_MAX << word << 1);
        word = (uint32_t)__builtin_ctzll(later ? later : queue->summary);
        rest = queue->words[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(rest);
}

void run_queue_init(struct run_queue *queue, uint64_t slice)
{
    memset(queue, 0, sizeof(*queue));
    slice = MIN(slice, TICKS_MAX);
    queue->slice = slice;
    queue->lag_max = slice / LAG_DIVISOR;
    queue->idle = true;
    while (RUN_QUEUE_BUCKETS * BIT(queue->shift) < RING_SLICES * slice)
        queue->shift++;
    for (uint32_t i = 0; i < RUN_QUEUE_BUCKETS; i++)
        TAILQ_INIT(&queue->buckets[i]);
}

uint64_t run_queue_slice(const struct run_queue *queue, const struct run_entry *entry,
                         uint64_t slice)
{
    uint64_t most = GAIN_SLICES * queue->slice * FIXED_ONE / entry->inverse;
    return MIN(slice, most);
}

void run_entry_init(struct run_entry *entry, uint32_t weight)
{
    weight = MIN(MAX(weight, WEIGHT_MIN), WEIGHT_MAX);
    *entry = (struct run_entry){
        .inverse = (uint32_t)((WEIGHT_DEFAULT * FIXED_ONE + weight / 2) / weight),
    };
}

void run_queue_lift(const struct run_queue *queue, struct run_entry *entry)
{
    uint64_t least = queue->vtime - queue->lag_max;
    if (is_before(entry->vtime, least))
        entry->vtime = least;
}

void run_queue_add(struct run_queue *queue, struct run_entry *entry)
{
    if (queue->idle && queue->count == 0 && is_before(queue->vtime, entry->vtime))
        queue->vtime = entry->vtime;
    if (is_before(entry->vtime, earliest(queue)))
        entry->vtime = earliest(queue);
    else if (is_before(latest(queue), entry->vtime))
        entry->vtime = latest(queue);

    entry->bucket = bucket_of(queue, entry->vtime);
    entry->queued = true;
    TAILQ_INSERT_TAIL(&queue->buckets[entry->bucket], entry, link);
    mark(queue, entry->bucket);
    queue->count++;
}

void run_queue_remove(struct run_queue *queue, struct run_entry *entry)
{
    TAILQ_REMOVE(&queue->buckets[entry->bucket], entry, link);
    if (TAILQ_EMPTY(&queue->buckets[entry->bucket]))
        unmark(queue, entry->bucket);
    entry->queued = false;
    queue->count--;
}

struct run_entry *run_queue_first(const struct run_queue *queue)
{
    if (queue->count == 0)
        return NULL;
    uint32_t bucket = find_from(queue, bucket_of(queue, earliest(queue)));
    return TAILQ_FIRST(&queue->buckets[bucket]);
}

struct run_entry *run_queue_after(const struct run_queue *queue, const struct run_entry *entry)
{
    struct run_entry *next = TAILQ_NEXT(entry, link);
    if (next)
        return next;
    uint32_t bucket = find_from(queue, (entry->bucket + 1) % RUN_QUEUE_BUCKETS);
    if (place_of(queue, bucket) <= place_of(queue, entry->bucket))
        return NULL; /* around the ring */
    return TAILQ_FIRST(&queue->buckets[bucket]);
}

struct run_entry *run_queue_take(struct run_queue *queue)
{
    struct run_entry *entry = run_queue_first(queue);
    queue->idle = !entry;
    if (!entry)
        return NULL;
    run_queue_remove(queue, entry);
    /* No entry falls out of the ring's turn: the others' buckets are this one's or later. */
    if (is_before(queue->vtime, entry->vtime))
        queue->vtime = entry->vtime;
    return entry;
}

void run_queue_pass(struct run_queue *queue, struct run_entry *entry)
{
    run_queue_lift(queue, entry);
    queue->idle = false;
    if (is_before(queue->vtime, entry->vtime))
        queue->vtime = entry->vtime;
}

void run_queue_yield(const struct run_queue *queue, struct run_entry *entry)
{
    const struct run_entry *first = run_queue_first(queue);
    if (first && run_entry_before(entry, first))
        entry->vtime = first->vtime; /* equals come in the order in which they are added */
}

void run_queue_catch_up(struct run_queue *queue, struct run_entry *entry, uint64_t vtime)
{
    uint64_t least = vtime - REACH_SLICES * queue->slice;
    if (queue->count > 0 || !is_before(entry->vtime, least))
        return;
    entry->vtime = least;
    if (is_before(queue->vtime, least))
        queue->vtime = least;
}

void run_entry_charge(struct run_entry *entry, uint64_t ticks)
{
    entry->vtime += MIN(ticks, TICKS_MAX) * entry->inverse / FIXED_ONE;
}
