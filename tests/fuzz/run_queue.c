/* SPDX-License-Identifier: MIT */
/* Any sequence of what a core does to its run queue, against the sorted list of the unit test,
 * which is included: the random numbers of its steps are the bytes of the input. Virtual times
 * begin where the input says, so that they wrap. */
#include "tests/fuzz/input.h"

static struct input choices;

#define random() ((long)draw(&choices, 2))
#define main     unit_test
#include "tests/unit/test_run_queue.c"
#undef main

#define FEW 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    choices = (struct input){data, size};
    set_up(NULL);
    model_vtime = queue.vtime = draw(&choices, 8);
    model_idle = true;
    drains = false;
    sorted_count = 0;
    for (size_t i = 0; i < FEW; i++) {
        static const uint32_t weights[] = {1, 3, 50, 100, 100, 200, 1000};
        run_entry_init(&all[i].entry, weights[i % ARRAY_SIZE(weights)]);
        all[i].vtime = model_vtime;
    }
    while (choices.left > 0) {
        uint8_t what = (uint8_t)draw(&choices, 1);
        struct model_entry *entry = &all[what % FEW];
        if (what & 0x80 && !entry->entry.queued) {
            place(entry);
            add_both(entry);
        } else if (what & 0x40 && sorted_count > 0) {
            remove_both();
        } else {
            take_both();
        }
        if (choices.left % 16 == 0)
            compare_all();
    }
    drains = true;
    while (sorted_count > 0)
        take_both();
    return 0;
}
