/* SPDX-License-Identifier: MIT */
/* Any sequence of arming and cancelling, also by timers that fire: against a plain list, each fires
 * once, never early, in the order of their times, and no more at once than the limit. A step is
 * three bytes: what is done, a timer, a time. */
#include "tests/fuzz/input.h"

#include "kernel/vm/timers.h"

#define TIMERS    16
#define LIMIT_MAX 8

static struct timers timers;
static struct timer some[TIMERS];
static struct model {
    bool armed;
    uint64_t deadline, number;
} model[TIMERS];
static uint64_t now, armings;
static unsigned fires;
static struct input deeds; /* what those that fire do */

static void arm(unsigned i, uint64_t deadline)
{
    if (model[i].armed)
        return;
    model[i] = (struct model){true, deadline, armings++};
    timers_arm(&timers, &some[i], deadline);
}

static void cancel(unsigned i)
{
    model[i].armed = false;
    timers_cancel(&timers, &some[i]);
}

/* TIMERS: none. */
static unsigned first_of_model(void)
{
    unsigned first = TIMERS;

    for (unsigned i = 0; i < TIMERS; i++) {
        if (model[i].armed &&
            (first == TIMERS || model[i].deadline < model[first].deadline ||
             (model[i].deadline == model[first].deadline && model[i].number < model[first].number)))
            first = i;
    }
    return first;
}

static void fire(struct timer *timer)
{
    unsigned i = (unsigned)(timer - some), other = (unsigned)draw(&deeds, 1);

    require(!timer->armed && model[i].armed, "fired, though not armed");
    require(i == first_of_model(), "another one was first");
    require(model[i].deadline <= now, "fired early");
    model[i].armed = false;
    fires++;
    if (other & 0x80)
        arm(other % TIMERS, now + draw(&deeds, 1) % 32);
    if (other & 0x40)
        cancel(other % TIMERS);
}

static void run(unsigned limit)
{
    fires = 0;
    timers_run(&timers, now, limit);
    require(fires <= limit, "more than the limit");
    require(fires == limit || timers_next(&timers) > now, "one that is due did not fire");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size / 2};

    deeds = (struct input){data + size / 2, size - size / 2};
    memset(model, 0, sizeof(model));
    memset(some, 0, sizeof(some));
    now = armings = 0;
    timers_init(&timers);
    for (unsigned i = 0; i < TIMERS; i++)
        some[i].fire = fire;
    while (input.left > 0) {
        uint8_t what = (uint8_t)draw(&input, 1), i = draw(&input, 1) % TIMERS;
        uint64_t time = draw(&input, 1);
        switch (what % 4) {
        case 0: arm(i, time == 255 ? UINT64_MAX : now + time > 32 ? now + time - 32 : 0); break;
        case 1: cancel(i); break;
        case 2: now += time; break;
        case 3: run((unsigned)time % (LIMIT_MAX + 1)); break;
        }
        unsigned first = first_of_model();
        require(timers_next(&timers) == (first < TIMERS ? model[first].deadline : UINT64_MAX),
                "the next time");
        for (unsigned n = 0; n < TIMERS; n++)
            require(some[n].armed == model[n].armed, "armed or not");
    }
    return 0;
}
