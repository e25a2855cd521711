/* SPDX-License-Identifier: MIT */
/* The life of a vCPU: every pair of state and event against a table written a second time, and
 * what must hold of the whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <string.h>

#include "kernel/vm/lifecycle.h"

/* One letter a state, '!' what cannot happen. The columns are
 * start, pick, preempt, sleep, wake, pause, resume, init, stop. */
static const char letters[VCPU_STATES] = {
    [VCPU_CREATED] = 'c',  [VCPU_RUNNABLE] = 'r', [VCPU_RUNNING] = 'R',
    [VCPU_SLEEPING] = 's', [VCPU_PAUSED] = 'p',   [VCPU_STOPPED] = 'x',
};
static const enum vcpu_event columns[VCPU_EVENTS] = {
    VCPU_START, VCPU_PICK,   VCPU_PREEMPT, VCPU_SLEEP, VCPU_WAKE,
    VCPU_PAUSE, VCPU_RESUME, VCPU_INIT,    VCPU_STOP,
};
static const char *const table[VCPU_STATES] = {
    [VCPU_CREATED] = "r!!!ccccx",
    [VCPU_RUNNABLE] = "rR!srprcx",
    [VCPU_RUNNING] = "R!rsRpRcx",
    [VCPU_SLEEPING] = "s!!!rpscx",
    [VCPU_PAUSED] = "p!!!pprcx",
    [VCPU_STOPPED] = "x!!!xxxxx",
};

static enum vcpu_state state_of(char letter)
{
    const char *found = memchr(letters, letter, sizeof(letters));
    assert_non_null(found);
    return (enum vcpu_state)(found - letters);
}

static void every_pair(void **context)
{
    (void)context;
    for (int state = 0; state < VCPU_STATES; state++) {
        for (int column = 0; column < VCPU_EVENTS; column++) {
            char expected = table[state][column];
            enum vcpu_state next = VCPU_STATES;
            int result = vcpu_next_state((enum vcpu_state)state, columns[column], &next);
            if (result != (expected == '!' ? -EINVAL : 0) ||
                next != (expected == '!' ? VCPU_STATES : state_of(expected)))
                fail_msg("%s, %s: %d, %s", vcpu_state_name((enum vcpu_state)state),
                         vcpu_event_name(columns[column]), result, vcpu_state_name(next));
        }
    }
}

static void what_is_no_state_or_event_is_refused(void **context)
{
    (void)context;
    enum vcpu_state next = VCPU_PAUSED;
    assert_int_equal(vcpu_next_state(VCPU_STATES, VCPU_STOP, &next), -EINVAL);
    assert_int_equal(vcpu_next_state((enum vcpu_state)-1, VCPU_STOP, &next), -EINVAL);
    assert_int_equal(vcpu_next_state(VCPU_RUNNING, VCPU_EVENTS, &next), -EINVAL);
    assert_int_equal(vcpu_next_state(VCPU_RUNNING, (enum vcpu_event)-1, &next), -EINVAL);
    assert_int_equal(next, VCPU_PAUSED);
}

static void stop_is_the_end_from_everywhere(void **context)
{
    (void)context;
    enum vcpu_state next;
    for (int state = 0; state < VCPU_STATES; state++) {
        assert_int_equal(vcpu_next_state((enum vcpu_state)state, VCPU_STOP, &next), 0);
        assert_int_equal(next, VCPU_STOPPED);
    }
    for (int event = 0; event < VCPU_EVENTS; event++) {
        next = VCPU_STOPPED;
        if (vcpu_next_state(VCPU_STOPPED, (enum vcpu_event)event, &next) == 0)
            assert_int_equal(next, VCPU_STOPPED);
    }
}

/* The states that events lead to from `from`, as a set of bits. */
static uint32_t reachable(enum vcpu_state from)
{
    uint32_t seen = 1u << from, before;
    do {
        before = seen;
        for (int pair = 0; pair < VCPU_STATES * VCPU_EVENTS; pair++) {
            enum vcpu_state state = (enum vcpu_state)(pair / VCPU_EVENTS), next;
            enum vcpu_event event = (enum vcpu_event)(pair % VCPU_EVENTS);
            if (seen & 1u << state && vcpu_next_state(state, event, &next) == 0)
                seen |= 1u << next;
        }
    } while (seen != before);
    return seen;
}

static void every_state_is_reached_until_the_end(void **context)
{
    (void)context;
    for (int state = 0; state < VCPU_STATES; state++)
        assert_int_equal(reachable((enum vcpu_state)state),
                         state == VCPU_STOPPED ? 1u << VCPU_STOPPED : (1u << VCPU_STATES) - 1);
}

/* Whatever else happens to a paused vCPU, it stays where it is. */
static void a_pause_ends_by_resume_init_or_stop(void **context)
{
    (void)context;
    for (int event = 0; event < VCPU_EVENTS; event++) {
        enum vcpu_state next = VCPU_PAUSED;
        bool moves = event == VCPU_RESUME || event == VCPU_INIT || event == VCPU_STOP;
        int result = vcpu_next_state(VCPU_PAUSED, (enum vcpu_event)event, &next);
        assert_true(moves ? result == 0 && next != VCPU_PAUSED : next == VCPU_PAUSED);
    }
}

static void names(void **context)
{
    (void)context;
    static const char *const states[VCPU_STATES] = {"created",  "runnable", "running",
                                                    "sleeping", "paused",   "stopped"};
    static const char *const events[VCPU_EVENTS] = {"start", "pick",   "preempt", "sleep", "wake",
                                                    "pause", "resume", "init",    "stop"};
    for (int i = 0; i < VCPU_STATES; i++)
        assert_string_equal(vcpu_state_name((enum vcpu_state)i), states[i]);
    for (int i = 0; i < VCPU_EVENTS; i++)
        assert_string_equal(vcpu_event_name((enum vcpu_event)i), events[i]);
    assert_string_equal(vcpu_state_name(VCPU_STATES), "?");
    assert_string_equal(vcpu_event_name(VCPU_EVENTS), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(what_is_no_state_or_event_is_refused),
        cmocka_unit_test(stop_is_the_end_from_everywhere),
        cmocka_unit_test(every_state_is_reached_until_the_end),
        cmocka_unit_test(a_pause_ends_by_resume_init_or_stop),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
