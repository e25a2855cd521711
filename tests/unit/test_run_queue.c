/* SPDX-License-Identifier: MIT */
/* The run queue against a sorted list, at several places of virtual time, and simulated cores:
 * shares by weight, bounded waits, what sleepers get and what they cannot get, and what those keep
 * who wait and are moved between two cores. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernel/vm/run_queue.h"

#define SLICE 50000u

static struct run_queue queue;

static int set_up(void **state)
{
    (void)state;
    memset(&queue, 0xa5, sizeof(queue));
    run_queue_init(&queue, SLICE);
    srandom(1);
    return 0;
}

static uint64_t width(void)
{
    return BIT(queue.shift);
}

static uint64_t span(void)
{
    return RUN_QUEUE_BUCKETS * width();
}

static void nothing_in_it(void **state)
{
    (void)state;
    struct run_entry entry;
    assert_null(run_queue_first(&queue));
    assert_null(run_queue_take(&queue));
    run_entry_init(&entry, WEIGHT_DEFAULT);
    assert_false(entry.queued);
    run_queue_add(&queue, &entry);
    assert_true(entry.queued);
    assert_ptr_equal(run_queue_first(&queue), &entry);
    assert_null(run_queue_after(&queue, &entry));
    run_queue_remove(&queue, &entry);
    assert_false(entry.queued);
    assert_null(run_queue_first(&queue));
    assert_int_equal(queue.vtime, 0);
}

static uint64_t charged(uint32_t weight, uint64_t ticks)
{
    struct run_entry entry;
    run_entry_init(&entry, weight);
    assert_int_equal(entry.vtime, 0);
    run_entry_charge(&entry, ticks);
    return entry.vtime;
}

static void charges(void **state)
{
    (void)state;
    assert_int_equal(charged(1, 12345), 1234500);
    assert_int_equal(charged(100, 12345), 12345);
    assert_int_equal(charged(200, 1000), 500);
    assert_int_equal(charged(400, 1000), 250);
    assert_in_range(charged(1000, 10000000), 999900, 1000100);
    assert_in_range(charged(999, 9990000), 999900, 1000100);
    assert_int_equal(charged(0, 7), charged(WEIGHT_MIN, 7));
    assert_int_equal(charged(UINT32_MAX, 7000), charged(WEIGHT_MAX, 7000));
    assert_int_equal(charged(1, UINT64_MAX), 100 * BIT(40));
    assert_int_equal(charged(1000, 0), 0);
}

/* Each keeps its whole charge, also if its slice lasts a little too long; and its claim. */
static void the_ring_holds_any_slice(void **state)
{
    (void)state;
    static const uint64_t slices[] = {0, 1, 15, 16, 17, SLICE, 3000000, 5000000000, BIT(40)};
    static const uint32_t weights[] = {WEIGHT_MIN, 9, WEIGHT_DEFAULT, WEIGHT_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(slices) * ARRAY_SIZE(weights); i++) {
        uint64_t slice = slices[i / ARRAY_SIZE(weights)];
        struct run_entry entry;
        run_queue_init(&queue, slice);
        assert_int_equal(queue.slice, slice);
        assert_int_equal(queue.lag_max, slice / LAG_DIVISOR);
        assert_true(span() >= RING_SLICES * slice);
        assert_true(queue.shift == 0 || span() < 2 * RING_SLICES * slice);

        run_entry_init(&entry, weights[i % ARRAY_SIZE(weights)]);
        run_queue_add(&queue, &entry);
        assert_ptr_equal(run_queue_take(&queue), &entry);
        run_entry_charge(&entry, run_queue_slice(&queue, &entry, slice) + slice / 64);
        uint64_t vtime = entry.vtime;
        run_queue_add(&queue, &entry);
        assert_int_equal(entry.vtime, vtime);
        run_queue_remove(&queue, &entry);
        entry.vtime = queue.vtime - REACH_SLICES * slice;
        run_queue_add(&queue, &entry);
        assert_int_equal(entry.vtime, queue.vtime - REACH_SLICES * slice);
    }
    run_queue_init(&queue, UINT64_MAX);
    assert_int_equal(queue.slice, BIT(40));
    assert_true(span() < BIT(62));
}

static uint64_t slice_of(uint32_t weight, uint64_t slice)
{
    struct run_entry entry;
    run_entry_init(&entry, weight);
    return run_queue_slice(&queue, &entry, slice);
}

/* Whose gain is within bounds runs as long as the others; a lighter one as long as it may. */
static void a_light_one_has_a_short_slice(void **state)
{
    (void)state;
    for (uint32_t weight = WEIGHT_MIN; weight <= WEIGHT_MAX; weight++) {
        uint64_t ticks = slice_of(weight, SLICE);
        uint64_t most = weight * (uint64_t)GAIN_SLICES * SLICE / WEIGHT_DEFAULT;
        assert_in_range(ticks, MIN(SLICE, most - most / 1000), MIN(SLICE, most + most / 1000));
        assert_true(ticks >= SLICE / SLICE_DIVISOR);
        assert_true(charged(weight, ticks) <= GAIN_SLICES * SLICE);
        assert_int_equal(slice_of(weight, SLICE / SLICE_DIVISOR), SLICE / SLICE_DIVISOR);
        assert_int_equal(slice_of(weight, 1), 1);
    }
    assert_int_equal(slice_of(WEIGHT_MIN, SLICE), SLICE / 10);
    assert_int_equal(slice_of(WEIGHT_MIN, SLICE / 8), SLICE / 10);
}

/* The model: true virtual times, which do not wrap, and the queued ones sorted by bucket, those of
 * one bucket by the time of their coming. */
#define ENTRIES 10000
typedef __int128 model_time;

struct model_entry {
    struct run_entry entry;
    model_time vtime;
};

static struct model_entry all[ENTRIES];
static struct model_entry *sorted[ENTRIES];
static size_t sorted_count;
static model_time model_vtime;
static bool model_idle;
static bool drains; /* nobody yields: it would come back */

static model_time model_bucket(model_time vtime)
{
    model_time size = (model_time)width();
    return (vtime < 0 ? vtime - (size - 1) : vtime) / size;
}

static void model_add(struct model_entry *added)
{
    if (model_idle && sorted_count == 0)
        model_vtime = MAX(model_vtime, added->vtime);
    model_time low = model_vtime - REACH_SLICES * (model_time)queue.slice;
    model_time high = (model_bucket(low) + RUN_QUEUE_BUCKETS) * (model_time)width() - 1;
    added->vtime = MIN(MAX(added->vtime, low), high);

    size_t from = 0, to = sorted_count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (model_bucket(sorted[middle]->vtime) <= model_bucket(added->vtime))
            from = middle + 1;
        else
            to = middle;
    }
    memmove(sorted + from + 1, sorted + from, (sorted_count - from) * sizeof(sorted[0]));
    sorted[from] = added;
    sorted_count++;
}

static void model_remove(size_t at)
{
    sorted_count--;
    memmove(sorted + at, sorted + at + 1, (sorted_count - at) * sizeof(sorted[0]));
}

static void add_both(struct model_entry *entry)
{
    entry->entry.vtime = (uint64_t)entry->vtime;
    model_add(entry);
    run_queue_add(&queue, &entry->entry);
    assert_int_equal(entry->entry.vtime, (uint64_t)entry->vtime);
    assert_int_equal(queue.vtime, (uint64_t)model_vtime);
}

static void lift_both(struct model_entry *entry)
{
    entry->entry.vtime = (uint64_t)entry->vtime;
    entry->vtime = MAX(entry->vtime, model_vtime - (model_time)queue.lag_max);
    run_queue_lift(&queue, &entry->entry);
    assert_int_equal(entry->entry.vtime, (uint64_t)entry->vtime);
}

/* Who yields comes behind who is first, and before those that follow in later buckets. */
static void yield_both(struct model_entry *entry)
{
    const struct run_entry *first = run_queue_first(&queue);
    if (sorted_count > 0)
        entry->vtime = MAX(entry->vtime, sorted[0]->vtime);
    run_queue_yield(&queue, &entry->entry);
    assert_int_equal(entry->entry.vtime, (uint64_t)entry->vtime);
    if (!first)
        return;
    add_both(entry);
    assert_ptr_equal(run_queue_first(&queue), first);
}

static void take_both(void)
{
    struct run_entry *expected = sorted_count ? &sorted[0]->entry : NULL;
    assert_ptr_equal(run_queue_first(&queue), expected);
    assert_ptr_equal(run_queue_take(&queue), expected);
    model_idle = !expected;
    if (!expected)
        return;
    struct model_entry *taken = sorted[0];
    model_vtime = MAX(model_vtime, taken->vtime);
    model_remove(0);
    assert_false(expected->queued);
    assert_int_equal(queue.vtime, (uint64_t)model_vtime);
    run_entry_charge(expected, (uint64_t)random() % (2 * SLICE));
    taken->vtime += expected->vtime - (uint64_t)taken->vtime;
    if (random() % 8 == 0 && !drains)
        yield_both(taken);
}

static void remove_both(void)
{
    size_t at = (size_t)random() % sorted_count;
    run_queue_remove(&queue, &sorted[at]->entry);
    assert_false(sorted[at]->entry.queued);
    model_remove(at);
}

static void compare_all(void)
{
    const struct run_entry *entry = run_queue_first(&queue);
    for (size_t i = 0; i < sorted_count; i++) {
        assert_ptr_equal(entry, &sorted[i]->entry);
        assert_true(entry->queued);
        entry = run_queue_after(&queue, entry);
    }
    assert_null(entry);
    assert_int_equal(queue.count, sorted_count);

    for (unsigned i = 0; i < RUN_QUEUE_BUCKETS; i++)
        assert_int_equal(queue.words[i / 64] >> i % 64 & 1, !TAILQ_EMPTY(&queue.buckets[i]));
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(queue.summary >> i & 1,
                         i < ARRAY_SIZE(queue.words) && queue.words[i] != 0);
}

/* Mostly where it was, like one that comes back; else anywhere, like one from another core. */
static void place(struct model_entry *entry)
{
    uint64_t reach = span() + span() / 4;
    switch (random() % 8) {
    case 0:
        entry->vtime = model_vtime + (model_time)((uint64_t)random() % reach);
        break;
    case 1:
        entry->vtime = model_vtime - (model_time)((uint64_t)random() % (2 * REACH_SLICES * SLICE));
        break;
    case 2:
        entry->vtime = model_vtime;
        break;
    case 3:
        lift_both(entry);
        break;
    default:
        break;
    }
}

static void run_both_from(uint64_t start, unsigned steps)
{
    static const uint32_t weights[] = {1, 3, 50, 100, 100, 200, 1000};
    set_up(NULL);
    queue.vtime = start;
    model_vtime = start;
    model_idle = true;
    drains = false;
    sorted_count = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        run_entry_init(&all[i].entry, weights[(size_t)random() % ARRAY_SIZE(weights)]);
        all[i].vtime = start;
    }

    for (unsigned step = 0; step < steps; step++) {
        /* Phases: few, all, and down to none again. */
        unsigned phase = step * 4 / steps;
        struct model_entry *entry = &all[random() % (phase == 0 ? 5 : ENTRIES)];
        bool adds = random() % 100 < (phase == 1 ? 95 : phase == 3 ? 10 : 50);
        if (adds && !entry->entry.queued) {
            place(entry);
            add_both(entry);
        } else if (random() % 4 == 0 && sorted_count > 0) {
            remove_both();
        } else {
            take_both();
        }
        if (step % 1000 == 0)
            compare_all();
    }
    drains = true;
    while (sorted_count > 0)
        take_both();
    take_both();
    compare_all();
}

static void random_steps_agree_with_the_model(void **state)
{
    (void)state;
    run_both_from(0, 60000);
    run_both_from(123456789, 60000);
    run_both_from(UINT64_MAX - 1000 * SLICE, 60000); /* wraps */
    assert_true(queue.vtime < BIT(63));
    run_both_from(INT64_MAX - 1000 * SLICE, 60000); /* the sign changes */
    assert_true(queue.vtime > BIT(63));
}

static void ten_thousand_at_a_time(void **state)
{
    (void)state;
    model_vtime = 0;
    model_idle = true;
    drains = true;
    sorted_count = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        run_entry_init(&all[i].entry, 1 + i % WEIGHT_MAX);
        all[i].vtime = (model_time)((uint64_t)random() % span());
        if (i == 0)
            all[i].vtime = 0; /* the idle queue goes with the first */
        add_both(&all[i]);
    }
    assert_int_equal(queue.count, ENTRIES);
    compare_all();
    for (size_t i = 0; i < ENTRIES; i++)
        take_both();
    assert_int_equal(queue.count, 0);
}

static struct run_entry entry_at(uint64_t vtime)
{
    struct run_entry entry;
    run_entry_init(&entry, WEIGHT_DEFAULT);
    entry.vtime = vtime;
    return entry;
}

static uint64_t lifted(uint64_t queue_vtime, uint64_t vtime)
{
    struct run_entry entry = entry_at(vtime);
    queue.vtime = queue_vtime;
    run_queue_lift(&queue, &entry);
    assert_int_equal(queue.vtime, queue_vtime);
    return entry.vtime;
}

static void a_lift_leaves_a_little(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0, 1000 * SLICE, INT64_MAX, UINT64_MAX - 1};
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        uint64_t now = starts[i], least = now - SLICE / LAG_DIVISOR;
        assert_int_equal(lifted(now, now - 1000 * SLICE), least);
        assert_int_equal(lifted(now, least - 1), least);
        assert_int_equal(lifted(now, least), least);
        assert_int_equal(lifted(now, least + 1), least + 1);
        assert_int_equal(lifted(now, now), now);
        assert_int_equal(lifted(now, now + 1000 * SLICE), now + 1000 * SLICE);
    }
}

/* Who slept comes before those who ran and behind those who wait with a claim. */
static void who_slept_comes_in_between(void **state)
{
    (void)state;
    struct run_entry ran = entry_at(1000 * SLICE), slept = entry_at(0), waited;
    run_queue_add(&queue, &ran);
    assert_ptr_equal(run_queue_take(&queue), &ran);
    run_queue_add(&queue, &ran);
    waited = entry_at(queue.vtime - SLICE);
    run_queue_lift(&queue, &slept);
    run_queue_add(&queue, &slept);
    run_queue_add(&queue, &waited);
    assert_ptr_equal(run_queue_take(&queue), &waited);
    assert_ptr_equal(run_queue_take(&queue), &slept);
    assert_ptr_equal(run_queue_take(&queue), &ran);
}

static void before_is_by_the_sign_of_the_difference(void **state)
{
    (void)state;
    struct run_entry a = entry_at(UINT64_MAX), b = entry_at(0);
    assert_true(run_entry_before(&a, &b));
    assert_false(run_entry_before(&b, &a));
    assert_false(run_entry_before(&a, &a));
}

/* Where the one that yields comes, of those that wait one, two and three slices ahead. */
static void yield_at(uint64_t vtime, unsigned expected_place, uint64_t expected_vtime)
{
    struct run_entry waiting[3], yielder = entry_at(vtime);
    set_up(NULL);
    queue.idle = false; /* the one that yields ran */
    for (unsigned i = 0; i < 3; i++) {
        waiting[i] = entry_at((i + 1) * SLICE);
        run_queue_add(&queue, &waiting[i]);
    }
    run_queue_yield(&queue, &yielder);
    assert_false(yielder.queued);
    assert_int_equal(queue.count, 3);
    assert_int_equal(yielder.vtime, expected_vtime);
    run_queue_add(&queue, &yielder);
    for (unsigned place = 0, i = 0; place < 4; place++)
        assert_ptr_equal(run_queue_take(&queue),
                         place == expected_place ? &yielder : &waiting[i++]);
}

static void who_yields_gives_way_to_one(void **state)
{
    (void)state;
    yield_at(0, 1, SLICE);
    yield_at(-2ull * SLICE, 1, SLICE); /* with a claim */
    yield_at(SLICE, 1, SLICE);
    yield_at(SLICE + SLICE / 2, 1, SLICE + SLICE / 2);
    yield_at(5 * SLICE / 2, 2, 5 * SLICE / 2); /* it was behind the next one anyhow */
}

static void who_yields_alone_keeps_its_place(void **state)
{
    (void)state;
    struct run_entry alone = entry_at(7);
    queue.vtime = SLICE;
    run_queue_yield(&queue, &alone);
    assert_int_equal(alone.vtime, 7);
}

/* Between cores. */
static void an_idle_queue_goes_with_who_is_ahead(void **state)
{
    (void)state;
    struct run_entry ahead = entry_at(1000000ull * SLICE), behind = entry_at(5);
    run_queue_add(&queue, &ahead);
    assert_int_equal(ahead.vtime, 1000000ull * SLICE);
    assert_int_equal(queue.vtime, ahead.vtime);
    run_queue_add(&queue, &behind);
    assert_int_equal(behind.vtime, ahead.vtime - REACH_SLICES * SLICE);
    assert_ptr_equal(run_queue_take(&queue), &behind);
    assert_int_equal(queue.vtime, ahead.vtime); /* it only grows */
}

static void an_idle_queue_does_not_go_back(void **state)
{
    (void)state;
    struct run_entry behind = entry_at(5);
    queue.vtime = 1000 * SLICE;
    run_queue_add(&queue, &behind);
    assert_int_equal(behind.vtime, (1000 - REACH_SLICES) * SLICE);
    assert_int_equal(queue.vtime, 1000 * SLICE);
}

static void a_queue_whose_entry_runs_is_not_idle(void **state)
{
    (void)state;
    struct run_entry running = entry_at(0), ahead = entry_at(1000000ull * SLICE);
    run_queue_add(&queue, &running);
    assert_ptr_equal(run_queue_take(&queue), &running);
    run_queue_add(&queue, &ahead);
    assert_int_equal(queue.vtime, 0);
    uint64_t end = span() - REACH_SLICES * SLICE;
    assert_in_range(ahead.vtime, end - width(), end - 1);
    run_entry_charge(&running, SLICE);
    run_queue_add(&queue, &running);
    assert_int_equal(running.vtime, SLICE);
    assert_ptr_equal(run_queue_take(&queue), &running);
    assert_ptr_equal(run_queue_take(&queue), &ahead);
}

/* There and back between queues whose times are less than the reach apart. */
static void a_pass_is_a_lift_an_add_and_a_take(void **state)
{
    (void)state;
    static struct run_queue other;
    for (unsigned i = 0; i < 10000; i++) {
        struct run_entry one, two;
        run_entry_init(&one, WEIGHT_DEFAULT);
        one.vtime = queue.vtime + (uint64_t)(random() % (40 * SLICE)) - 20 * SLICE;
        two = one;
        assert_null(run_queue_take(&queue));
        other = queue;
        for (unsigned bucket = 0; bucket < RUN_QUEUE_BUCKETS; bucket++)
            TAILQ_INIT(&other.buckets[bucket]); /* else they end in `queue` */
        run_queue_lift(&other, &two);
        run_queue_add(&other, &two);
        assert_ptr_equal(run_queue_take(&other), &two);
        run_queue_pass(&queue, &one);
        assert_int_equal(one.vtime, two.vtime);
        assert_int_equal(queue.vtime, other.vtime);
        assert_int_equal(queue.idle, other.idle);
        assert_int_equal(queue.count, other.count);
    }
}

static void a_move_keeps_the_claim(void **state)
{
    (void)state;
    static struct run_queue other;
    struct run_entry runs_here = entry_at(100 * SLICE), runs_there = entry_at(103 * SLICE);
    struct run_entry waits[8], *mover = &waits[5];
    run_queue_init(&other, SLICE);
    run_queue_add(&queue, &runs_here);
    run_queue_add(&other, &runs_there);
    assert_ptr_equal(run_queue_take(&queue), &runs_here);
    assert_ptr_equal(run_queue_take(&other), &runs_there);
    for (unsigned i = 0; i < ARRAY_SIZE(waits); i++) {
        waits[i] = entry_at(100 * SLICE + i * SLICE / 16);
        run_queue_add(&queue, &waits[i]);
    }
    for (unsigned i = 0; i < 1000; i++) {
        struct run_queue *from = i % 2 ? &other : &queue, *to = i % 2 ? &queue : &other;
        run_queue_remove(from, mover);
        run_queue_add(to, mover);
        assert_int_equal(mover->vtime, 100 * SLICE + 5 * SLICE / 16);
        assert_int_equal(queue.vtime, 100 * SLICE);
        assert_int_equal(other.vtime, 103 * SLICE);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(waits); i++)
        assert_ptr_equal(run_queue_take(&queue), &waits[i]);
}

/* A simulated core. A vCPU runs for `burst` ticks at most, then sleeps for `sleep` if that is not
 * 0; else it comes back at once. */
struct sim_vcpu {
    struct run_entry entry;
    uint32_t weight;
    uint64_t (*burst)(void);
    uint64_t (*sleep)(void);
    uint64_t left;    /* of its burst */
    uint64_t wake_at; /* 0: it does not sleep */
    uint64_t ran;
    uint64_t since;  /* it waits */
    uint64_t bound;  /* it may wait so long */
    uint64_t waited; /* in all */
    uint64_t bursts;
};

#define SIM_MAX 200
static struct sim_vcpu sim[SIM_MAX];
static unsigned sim_count;
static uint64_t sim_now, sim_slice;

static struct sim_vcpu *vcpu_of(struct run_entry *entry)
{
    return entry ? (struct sim_vcpu *)((char *)entry - offsetof(struct sim_vcpu, entry)) : NULL;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return MIN(MAX(value, low), high);
}

static void sim_start(void)
{
    set_up(NULL);
    memset(sim, 0, sizeof(sim));
    sim_count = 0;
    sim_now = 0;
}

/* An entry of that weight gains so much, a little of it uncharged by rounding, in these ticks. */
static uint64_t ticks_to_gain(uint32_t weight, uint64_t gain)
{
    uint64_t ticks = gain * weight / WEIGHT_DEFAULT;
    return ticks + ticks / 1000 + 1;
}

/* How long one may wait: each other one runs from its virtual time, and one that sleeps from where
 * it is lifted to, until it leaves the bucket of the one that waits; its last slice goes beyond. */
static uint64_t bound_of(const struct sim_vcpu *vcpu)
{
    uint64_t bound = 0;
    for (unsigned i = 0; i < sim_count; i++) {
        if (&sim[i] == vcpu)
            continue;
        struct run_entry start = sim[i].entry;
        if (sim[i].wake_at)
            run_queue_lift(&queue, &start);
        int64_t gain = (int64_t)(vcpu->entry.vtime + width() - start.vtime);
        bound += ticks_to_gain(sim[i].weight, (uint64_t)MAX(gain, 0));
        bound += run_queue_slice(&queue, &start, sim_slice);
    }
    return bound;
}

static void sim_queue(struct sim_vcpu *vcpu)
{
    run_queue_add(&queue, &vcpu->entry);
    vcpu->since = sim_now;
    vcpu->bound = bound_of(vcpu);
}

static void sim_wake(void)
{
    for (unsigned i = 0; i < sim_count; i++)
        if (sim[i].wake_at && sim[i].wake_at <= sim_now) {
            sim[i].wake_at = 0;
            run_queue_lift(&queue, &sim[i].entry);
            sim_queue(&sim[i]);
        }
}

static struct sim_vcpu *sim_add(uint32_t weight, uint64_t (*burst)(void), uint64_t (*sleep)(void))
{
    struct sim_vcpu *vcpu = &sim[sim_count++];
    *vcpu = (struct sim_vcpu){.weight = weight, .burst = burst, .sleep = sleep, .wake_at = 1};
    run_entry_init(&vcpu->entry, weight);
    sim_slice = clamp(4 * SLICE / sim_count, SLICE / 16, SLICE);
    return vcpu;
}

static struct sim_vcpu *sim_add_busy(uint32_t weight)
{
    return sim_add(weight, NULL, NULL);
}

/* Until the next one wakes up: nobody else is there. */
static void sim_idle(void)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < sim_count; i++)
        if (sim[i].wake_at)
            next = MIN(next, sim[i].wake_at);
    sim_now = next;
    sim_wake();
}

/* One slice, or a time without one. What wakes up in a slice is added before who ran. */
static void sim_step(void)
{
    struct run_entry *entry = run_queue_take(&queue);
    if (!entry) {
        sim_idle();
        return;
    }
    struct sim_vcpu *vcpu = vcpu_of(entry);
    uint64_t wait = sim_now - vcpu->since;
    if (wait > vcpu->bound)
        fail_msg("vCPU %td waited %lu ticks, at most %lu", vcpu - sim, wait, vcpu->bound);
    vcpu->waited += wait;

    if (vcpu->left == 0)
        vcpu->left = vcpu->burst ? vcpu->burst() : UINT64_MAX;
    uint64_t ticks = MIN(vcpu->left, run_queue_slice(&queue, entry, sim_slice));
    vcpu->left -= ticks;
    vcpu->ran += ticks;
    sim_now += ticks;
    run_entry_charge(&vcpu->entry, ticks);
    if (vcpu->left == 0)
        vcpu->bursts++;
    if (vcpu->left == 0 && vcpu->sleep)
        vcpu->wake_at = sim_now + vcpu->sleep();
    sim_wake();
    if (!vcpu->wake_at && !vcpu->entry.queued)
        sim_queue(vcpu);
}

static void sim_run(uint64_t ticks)
{
    uint64_t end = sim_now + ticks;
    while (sim_now < end)
        sim_step();
}

static void assert_share(const struct sim_vcpu *vcpu, uint64_t ticks, uint64_t part, uint64_t whole)
{
    uint64_t due = ticks * part / whole;
    if (vcpu->ran < due - due * 3 / 100 || vcpu->ran > due + due * 3 / 100)
        fail_msg("vCPU %td of %u, weight %u: ran %lu, due %lu", vcpu - sim, sim_count, vcpu->weight,
                 vcpu->ran, due);
}

static void share_by(const uint32_t *weights, unsigned kinds, unsigned count)
{
    uint64_t whole = 0;
    sim_start();
    for (unsigned i = 0; i < count; i++)
        whole += sim_add_busy(weights[i % kinds])->weight;
    sim_run(50000000);
    for (unsigned i = 0; i < count; i++)
        assert_share(&sim[i], sim_now, sim[i].weight, whole);
}

static void shares_follow_weights(void **state)
{
    (void)state;
    static const uint32_t usual[] = {100, 200, 400}, light[] = {1, 2, 4}, far[] = {1, 1000};
    static const unsigned counts[] = {3, 30, 200};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        share_by(usual, 3, counts[i]);
        share_by(light, 3, counts[i]);
    }
    share_by(far, 2, 2);
}

static uint64_t up_to(uint64_t limit)
{
    return 1 + (uint64_t)random() % limit;
}

static uint64_t short_burst(void)
{
    return up_to(SLICE / 4);
}

static uint64_t long_burst(void)
{
    return up_to(3 * SLICE);
}

static uint64_t long_sleep(void)
{
    return up_to(16 * SLICE);
}

static uint64_t nap(void)
{
    return up_to(100);
}

/* Who wants less than its share gets it, soon, and the others share what is left. */
static void modest_sleepers(void **state)
{
    (void)state;
    enum { KIND = 4 };
    sim_start();
    for (unsigned i = 0; i < KIND; i++)
        sim_add_busy(WEIGHT_DEFAULT);
    for (unsigned i = 0; i < KIND; i++)
        sim_add(WEIGHT_DEFAULT, short_burst, long_sleep);
    sim_run(50000000);

    uint64_t left = sim_now;
    for (unsigned i = KIND; i < 2 * KIND; i++) {
        assert_true(sim[i].bursts > 50);
        assert_true(sim[i].waited < sim[i].bursts * SLICE);
        left -= sim[i].ran;
    }
    assert_true(left < sim_now - sim_now / 20);
    for (unsigned i = 0; i < KIND; i++)
        assert_share(&sim[i], left, 1, KIND);
}

/* A nap is no way to more than a share. */
static void greedy_sleepers(void **state)
{
    (void)state;
    enum { KIND = 4 };
    sim_start();
    for (unsigned i = 0; i < KIND; i++)
        sim_add_busy(WEIGHT_DEFAULT);
    for (unsigned i = 0; i < KIND; i++)
        sim_add(WEIGHT_DEFAULT, long_burst, nap);
    sim_run(50000000);
    for (unsigned i = 0; i < 2 * KIND; i++)
        assert_share(&sim[i], sim_now, 1, 2 * KIND);
}

/* It naps whenever it has run, and wakes up while the only other one runs: the queue is empty. */
static void a_light_napper_beside_a_busy_one(void **state)
{
    (void)state;
    sim_start();
    sim_add_busy(WEIGHT_DEFAULT);
    sim_add(WEIGHT_MIN, long_burst, nap);
    sim_run(50000000);
    assert_true(sim[1].bursts > 1);
    assert_true(sim[1].ran <= sim_now / 101 + SLICE);
}

static uint64_t virtual_gain(const struct sim_vcpu *vcpu, uint64_t ran_before)
{
    return (vcpu->ran - ran_before) * WEIGHT_DEFAULT / vcpu->weight;
}

/* After its return the sleeper is at no time further ahead of anybody, in what it got for its
 * weight, than a lag, a bucket, its own last slice and the one that the other had just before. */
static void return_after(uint64_t slices, uint32_t weight)
{
    enum { OTHERS = 3 };
    uint64_t before[OTHERS];
    sim_start();
    for (unsigned i = 0; i < OTHERS; i++)
        sim_add_busy(WEIGHT_DEFAULT);
    struct sim_vcpu *sleeper = sim_add_busy(weight);
    sim_run(400 * SLICE);
    run_queue_remove(&queue, &sleeper->entry);
    sleeper->wake_at = sim_now + slices * SLICE;
    while (sleeper->wake_at)
        sim_step();

    uint64_t start = sim_now, own = sleeper->ran;
    uint64_t last = run_queue_slice(&queue, &sleeper->entry, SLICE) * WEIGHT_DEFAULT / weight;
    uint64_t ahead = queue.lag_max + width() + last + SLICE;
    for (unsigned i = 0; i < OTHERS; i++)
        before[i] = sim[i].ran;
    while (sim_now < start + 1000 * SLICE) {
        sim_step();
        for (unsigned i = 0; i < OTHERS; i++)
            assert_true(virtual_gain(sleeper, own) <= virtual_gain(&sim[i], before[i]) + ahead);
    }
    uint64_t due = 1000 * SLICE * (uint64_t)weight / (weight + OTHERS * WEIGHT_DEFAULT);
    uint64_t lag = queue.lag_max * weight / WEIGHT_DEFAULT;
    assert_in_range(sleeper->ran - own, due - MIN(due, 2 * SLICE), due + lag + 2 * SLICE);
}

static void who_slept_long_does_not_monopolise(void **state)
{
    (void)state;
    return_after(1000, WEIGHT_DEFAULT);
    return_after(1000, WEIGHT_MIN);
    return_after(1000, WEIGHT_MAX);
    return_after(100000, WEIGHT_DEFAULT);
    return_after(2, WEIGHT_DEFAULT);
}

/* Two simulated cores and busy vCPUs. Before its slice a core gives the first that waits to the
 * other one, if that is idle or ahead by half a slice of it. */
struct pair_core {
    struct run_queue queue;
    uint64_t now;
    uint64_t vtime; /* of the one that runs */
    struct sim_vcpu *current;
    uint64_t slice;
    uint64_t taken; /* vCPUs that came from the other one */
};

static struct pair_core pair[2];

/* The header's: d ahead of the queue's time, with the largest lag for all that might come here. */
static uint64_t pair_bound_of(const struct pair_core *core, const struct sim_vcpu *vcpu)
{
    int64_t ahead = (int64_t)(vcpu->entry.vtime - core->queue.vtime);
    uint64_t gain = (uint64_t)(ahead + REACH_SLICES * (int64_t)SLICE + (int64_t)width());
    uint64_t bound = 0;
    for (unsigned i = 0; i < sim_count; i++)
        if (&sim[i] != vcpu)
            bound += ticks_to_gain(sim[i].weight, gain) + SLICE;
    return bound;
}

static void pair_add(struct pair_core *core, struct sim_vcpu *vcpu)
{
    run_queue_add(&core->queue, &vcpu->entry);
    vcpu->since = core->now;
    vcpu->bound = pair_bound_of(core, vcpu);
}

static void pair_share(struct pair_core *from, struct pair_core *to)
{
    struct sim_vcpu *vcpu = vcpu_of(run_queue_first(&from->queue));
    if (!vcpu)
        return;
    struct run_entry moved = vcpu->entry;
    run_entry_charge(&moved, run_queue_slice(&from->queue, &moved, from->slice) / 2);
    const struct run_entry there = {.vtime = to->vtime};
    bool idle = !to->current && to->queue.count == 0;
    if (!idle && !run_entry_before(&moved, &there))
        return;
    run_queue_remove(&from->queue, &vcpu->entry);
    pair_add(to, vcpu);
    to->taken++;
}

/* The next slice of the core whose clock is behind. */
static void pair_step(void)
{
    struct pair_core *core = &pair[pair[1].now < pair[0].now], *other = &pair[core == &pair[0]];
    if (core->current)
        pair_add(core, core->current);
    core->slice = clamp(4 * SLICE / (core->queue.count + 1), SLICE / SLICE_DIVISOR, SLICE);
    core->current = vcpu_of(run_queue_take(&core->queue));
    if (!core->current) {
        core->now = other->now + 1;
        return;
    }
    struct sim_vcpu *vcpu = core->current;
    uint64_t wait = core->now - MIN(core->now, vcpu->since);
    if (wait > vcpu->bound)
        fail_msg("vCPU %td waited %lu ticks, at most %lu", vcpu - sim, wait, vcpu->bound);
    pair_share(core, other);
    core->vtime = vcpu->entry.vtime;
    uint64_t ticks = run_queue_slice(&core->queue, &vcpu->entry, core->slice);
    run_entry_charge(&vcpu->entry, ticks);
    vcpu->ran += ticks;
    core->now += ticks;
}

/* All start on one core. */
static void pair_run(const uint32_t *weights, unsigned count, uint64_t ticks)
{
    sim_start();
    memset(pair, 0, sizeof(pair));
    run_queue_init(&pair[0].queue, SLICE);
    run_queue_init(&pair[1].queue, SLICE);
    for (unsigned i = 0; i < count; i++) {
        struct sim_vcpu *vcpu = sim_add_busy(weights[i]);
        run_queue_lift(&pair[0].queue, &vcpu->entry);
        pair_add(&pair[0], vcpu);
    }
    while (MIN(pair[0].now, pair[1].now) < ticks)
        pair_step();
}

/* Where nobody's share is more than a core. */
static void pair_share_by(const uint32_t *weights, unsigned count)
{
    uint64_t whole = 0;
    pair_run(weights, count, 50000000);
    for (unsigned i = 0; i < count; i++)
        whole += weights[i];
    for (unsigned i = 0; i < count; i++)
        assert_share(&sim[i], 2 * pair[0].now, weights[i], whole);
    assert_true(pair[0].taken + pair[1].taken > 20);
}

static void shares_hold_over_two_cores(void **state)
{
    (void)state;
    static const uint32_t equal[] = {100, 100, 100, 100, 100, 100, 100};
    static const uint32_t mixed[] = {100, 200, 100, 50, 200, 100, 50};
    static const uint32_t light[] = {1, 2, 1, 2, 1}, heavy[] = {1000, 100, 1000, 500, 500};
    pair_share_by(equal, 3);
    pair_share_by(equal, 5);
    pair_share_by(equal, 7);
    pair_share_by(mixed, 7);
    pair_share_by(light, 5);
    pair_share_by(heavy, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_in_it, set_up),
        cmocka_unit_test_setup(charges, set_up),
        cmocka_unit_test_setup(the_ring_holds_any_slice, set_up),
        cmocka_unit_test_setup(a_light_one_has_a_short_slice, set_up),
        cmocka_unit_test_setup(random_steps_agree_with_the_model, set_up),
        cmocka_unit_test_setup(ten_thousand_at_a_time, set_up),
        cmocka_unit_test_setup(a_lift_leaves_a_little, set_up),
        cmocka_unit_test_setup(who_slept_comes_in_between, set_up),
        cmocka_unit_test(before_is_by_the_sign_of_the_difference),
        cmocka_unit_test(who_yields_gives_way_to_one),
        cmocka_unit_test_setup(who_yields_alone_keeps_its_place, set_up),
        cmocka_unit_test_setup(an_idle_queue_goes_with_who_is_ahead, set_up),
        cmocka_unit_test_setup(an_idle_queue_does_not_go_back, set_up),
        cmocka_unit_test_setup(a_queue_whose_entry_runs_is_not_idle, set_up),
        cmocka_unit_test_setup(a_pass_is_a_lift_an_add_and_a_take, set_up),
        cmocka_unit_test_setup(a_move_keeps_the_claim, set_up),
        cmocka_unit_test(shares_follow_weights),
        cmocka_unit_test(modest_sleepers),
        cmocka_unit_test(greedy_sleepers),
        cmocka_unit_test(a_light_napper_beside_a_busy_one),
        cmocka_unit_test(who_slept_long_does_not_monopolise),
        cmocka_unit_test(shares_hold_over_two_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
