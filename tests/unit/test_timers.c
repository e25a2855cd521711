/* SPDX-License-Identifier: MIT */
/* A core's timers: order, ties, the limit, timers that change others while they fire, and random
 * steps against a model that looks at all of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernel/vm/timers.h"

#define TIMERS_MAX 10000

static struct timers timers;
static struct timer some[TIMERS_MAX];

/* Which timers fired, in order. */
static unsigned fired[TIMERS_MAX];
static unsigned fired_count;

static void note(struct timer *timer)
{
    assert_false(timer->armed);
    assert_true(fired_count < TIMERS_MAX);
    fired[fired_count++] = (unsigned)(timer - some);
}

static int set_up(void **state)
{
    (void)state;
    memset(&timers, 0xa5, sizeof(timers));
    memset(some, 0, sizeof(some));
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        some[i].fire = note;
    fired_count = 0;
    timers_init(&timers);
    return 0;
}

static void assert_fired(const unsigned *expected, unsigned count)
{
    assert_int_equal(fired_count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(fired[i], expected[i]);
    fired_count = 0;
}

#define ASSERT_FIRED(...)                                                                          \
    assert_fired((const unsigned[]){__VA_ARGS__}, ARRAY_SIZE(((const unsigned[]){__VA_ARGS__})))

static void none(void **state)
{
    (void)state;
    assert_int_equal(timers_next(&timers), UINT64_MAX);
    timers_run(&timers, UINT64_MAX, UINT32_MAX);
    timers_cancel(&timers, &some[0]);
    assert_int_equal(timers_next(&timers), UINT64_MAX);
}

static void by_time_and_not_before(void **state)
{
    (void)state;
    timers_arm(&timers, &some[0], 30);
    timers_arm(&timers, &some[1], 10);
    timers_arm(&timers, &some[2], 20);
    timers_arm(&timers, &some[3], UINT64_MAX);
    timers_arm(&timers, &some[4], 0);
    assert_int_equal(timers_next(&timers), 0);
    timers_run(&timers, 9, 100);
    ASSERT_FIRED(4);
    assert_int_equal(timers_next(&timers), 10);
    timers_run(&timers, 9, 100);
    assert_int_equal(fired_count, 0);
    timers_run(&timers, 20, 100);
    ASSERT_FIRED(1, 2);
    timers_run(&timers, UINT64_MAX - 1, 100);
    ASSERT_FIRED(0);
    assert_true(some[3].armed);
    timers_run(&timers, UINT64_MAX, 100);
    ASSERT_FIRED(3);
    assert_int_equal(timers_next(&timers), UINT64_MAX);
}

static void equals_fire_as_they_were_armed(void **state)
{
    (void)state;
    static const unsigned order[] = {7, 3, 9, 1, 8, 2, 5, 0, 6, 4};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        timers_arm(&timers, &some[order[i]], 5);
    timers_cancel(&timers, &some[9]);
    timers_arm(&timers, &some[9], 5); /* now it is the last */
    timers_run(&timers, 5, 100);
    ASSERT_FIRED(7, 3, 1, 8, 2, 5, 0, 6, 4, 9);
}

static void no_more_than_the_limit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        timers_arm(&timers, &some[i], i);
    timers_run(&timers, 100, 0);
    assert_int_equal(fired_count, 0);
    timers_run(&timers, 100, 3);
    ASSERT_FIRED(0, 1, 2);
    assert_int_equal(timers_next(&timers), 3);
    timers_run(&timers, 100, 3);
    ASSERT_FIRED(3, 4);
}

static void cancelled_ones_do_not_fire(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        timers_arm(&timers, &some[i], i);
    timers_cancel(&timers, &some[0]);
    assert_int_equal(timers_next(&timers), 1);
    timers_cancel(&timers, &some[2]);
    timers_cancel(&timers, &some[2]);
    assert_false(some[2].armed);
    timers_run(&timers, 100, 100);
    ASSERT_FIRED(1, 3);
}

static void again_at_once(struct timer *timer)
{
    note(timer);
    timers_arm(&timers, timer, timer->deadline);
}

static void one_that_is_always_due_ends_with_the_limit(void **state)
{
    (void)state;
    some[0].fire = again_at_once;
    timers_arm(&timers, &some[0], 5);
    timers_arm(&timers, &some[1], 5);
    timers_run(&timers, 5, 4);
    ASSERT_FIRED(0, 1, 0, 0); /* behind the other, which was armed before */
    assert_true(some[0].armed);
}

static void cancel_the_next(struct timer *timer)
{
    note(timer);
    timers_cancel(&timers, timer + 1);
    timers_arm(&timers, timer + 3, 0);
}

static void one_may_cancel_and_arm_others(void **state)
{
    (void)state;
    some[0].fire = cancel_the_next;
    for (unsigned i = 0; i < 3; i++)
        timers_arm(&timers, &some[i], 5);
    timers_run(&timers, 5, 100);
    ASSERT_FIRED(0, 3, 2);
    assert_false(some[1].armed);
}

static void free_it(struct timer *timer)
{
    free(timer);
}

static void one_may_be_gone_when_it_has_fired(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct timer *timer = calloc(1, sizeof(*timer));
        assert_non_null(timer);
        timer->fire = free_it;
        timers_arm(&timers, timer, 5);
    }
    timers_run(&timers, 5, 100);
    assert_int_equal(timers_next(&timers), UINT64_MAX);
}

/* The model: the armed ones, unordered, with the number of their arming. */
static struct model {
    bool armed;
    uint64_t deadline;
    uint64_t number;
} model[TIMERS_MAX];

static bool model_less(unsigned a, unsigned b)
{
    if (model[a].deadline != model[b].deadline)
        return model[a].deadline < model[b].deadline;
    return model[a].number < model[b].number;
}

static unsigned model_first(void)
{
    unsigned first = TIMERS_MAX;
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        if (model[i].armed && (first == TIMERS_MAX || model_less(i, first)))
            first = i;
    return first;
}

static void random_steps_agree_with_the_model(void **state)
{
    (void)state;
    enum { STEPS = 60000 };
    uint64_t now = 0, number = 0, fires = 0;

    memset(model, 0, sizeof(model));
    srandom(1);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)random() % TIMERS_MAX;
        if (!model[i].armed && random() % 20 != 0) {
            /* few different times, so that many are equal; some are over already */
            model[i] = (struct model){true, now + (uint64_t)random() % 500, number++};
            if (model[i].deadline >= 20)
                model[i].deadline -= 20;
            timers_arm(&timers, &some[i], model[i].deadline);
        } else if (random() % 2) {
            model[i].armed = false;
            timers_cancel(&timers, &some[i]);
        }
        assert_int_equal(some[i].armed, model[i].armed);
        if (step % 20 != 0)
            continue;

        now += (uint64_t)random() % 3;
        unsigned limit = (unsigned)random() % 40;
        timers_run(&timers, now, limit);
        for (unsigned n = 0; n < fired_count; n++) {
            unsigned first = model_first();
            assert_int_equal(fired[n], first);
            assert_true(model[first].deadline <= now);
            model[first].armed = false;
        }
        unsigned first = model_first();
        assert_int_equal(timers_next(&timers),
                         first == TIMERS_MAX ? UINT64_MAX : model[first].deadline);
        assert_true(fired_count <= limit);
        assert_true(fired_count == limit || timers_next(&timers) > now);
        fires += fired_count;
        fired_count = 0;
    }
    assert_true(fires > STEPS / 10);
}

static void ten_thousand_at_a_time(void **state)
{
    (void)state;
    srandom(2);
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        timers_arm(&timers, &some[i], (uint64_t)random() % 1000);
    timers_run(&timers, 1000, TIMERS_MAX);
    assert_int_equal(fired_count, TIMERS_MAX);
    for (unsigned i = 1; i < TIMERS_MAX; i++) {
        const struct timer *before = &some[fired[i - 1]], *timer = &some[fired[i]];
        assert_true(before->deadline <= timer->deadline);
        assert_true(before->deadline < timer->deadline || fired[i - 1] < fired[i]);
    }
    assert_int_equal(timers_next(&timers), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(none, set_up),
        cmocka_unit_test_setup(by_time_and_not_before, set_up),
        cmocka_unit_test_setup(equals_fire_as_they_were_armed, set_up),
        cmocka_unit_test_setup(no_more_than_the_limit, set_up),
        cmocka_unit_test_setup(cancelled_ones_do_not_fire, set_up),
        cmocka_unit_test_setup(one_that_is_always_due_ends_with_the_limit, set_up),
        cmocka_unit_test_setup(one_may_cancel_and_arm_others, set_up),
        cmocka_unit_test_setup(one_may_be_gone_when_it_has_fired, set_up),
        cmocka_unit_test_setup(random_steps_agree_with_the_model, set_up),
        cmocka_unit_test_setup(ten_thousand_at_a_time, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
