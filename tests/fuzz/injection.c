/* SPDX-License-Identifier: MIT */
/* Any state of events at an entry, with the rules of the unit test, which is included: one event
 * is injected at most, what waits has a window, and nothing that the entry would refuse. */
#define main unit_test
#include "tests/unit/test_injection.c"
#undef main

#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    while (input.left > 0) {
        uint8_t flags = (uint8_t)draw(&input, 1);
        struct vmx_injection_input in = {
            .interrupts_on = flags & 1,
            .nmi = flags & 2,
            .interruptibility = flags >> 2 & 15,
            .vector = flags & 0x40 ? (int)draw(&input, 1) : -1,
        };
        if (flags & 0x80) /* type and vector of what was in delivery; an NMI has but one vector */
            in.event = VALID | (draw(&input, 1) & 7) << 8 | draw(&input, 1) | draw(&input, 4) << 32;
        if (TYPE(in.event) == TYPE_NMI && in.event)
            in.event = VALID | TYPE_NMI << 8 | 2;
        struct vmx_injection out = vmx_injection_choose(&in);
        check_entry(&in, &out);
        check_interruptibility(&in, &out);
        check_choice(&in, &out);
        check_windows(&in, &out);
    }
    return 0;
}
