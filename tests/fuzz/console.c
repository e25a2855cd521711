/* SPDX-License-Identifier: MIT */
/* Any sequence of writes, reads, attaches and detaches at a guest's console, against the model of
 * the unit test, which is included: the random numbers of its steps are the bytes of the input. No
 * byte is lost or shown twice without being counted, and no line is longer than a line. */
#include "tests/fuzz/input.h"

static struct input choices;

#define rand() ((int)(draw(&choices, 1) * 0x10001)) /* any number: times are among them */
#define main   unit_test
#include "tests/unit/test_console.c"
#undef main

/* All but the bytes that the counts say are none. */
static void start_model(void)
{
    model.written = model.shown = model.unlogged = model.used = model.typed = 0;
    model.line_count = 0;
    model.lost_at_detach = 0;
    model.attached = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    choices = (struct input){data, size};
    require(set_up(NULL) == 0, "a console");
    start_model();
    uint32_t rate = (uint32_t)draw(&choices, 1);
    console_set_rate(rate);
    while (choices.left > 0)
        random_step();
    random_detach();
    random_flush();
    for (uint32_t i = 0; i < logged_count; i++)
        require(strlen(logged[i]) <= 1 + CONSOLE_LINE_MAX, "a line that is too long");
    require(console.dropped == 0, "drops that were not reported");
    require(reported(" bytes lost: ") == model.lost_at_detach, "the count of lost bytes");
    require(rate != 0 || reported_dropped() == 0, "lines dropped without a limit");
    assert_lines(reported_dropped());
    return tear_down(NULL);
}
