/* SPDX-License-Identifier: MIT */
/* Any sequence of what guests do to the ports of a switch, against the model of the unit test,
 * which is included: the random numbers of its steps are the bytes of the input. */
#include "tests/fuzz/input.h"

static struct input choices;

#define rand() ((int)draw(&choices, 2))
#define main   unit_test
#include "tests/unit/test_switch.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t mtus[MODEL_PORTS] = {1500, 1500, 9000, 9000, 68, 576};
    static bool is_set_up;

    choices = (struct input){data, size};
    if (!is_set_up)
        require(set_up_machine(NULL) == 0, "no memory for the arena");
    is_set_up = true;
    frames_init(metadata, HPA(ARENA_END)); /* with that, the switch of the last input is no more */
    frames_add(HPA(ARENA_START), HPA(ARENA_END));
    STAILQ_INIT(&switches);
    set_up(NULL);
    memset(model, 0, sizeof model);
    for (uint32_t i = 0; i < MODEL_PORTS; i++) {
        model[i].mtu = mtus[i];
        model[i].port = make_closed_port(i, mtus[i]);
        model[i].open = i < 4;
        if (model[i].open)
            port_open(model[i].port);
    }
    while (choices.left > 0) {
        random_step();
        for (uint32_t i = 0; i < MODEL_PORTS; i++)
            compare(&model[i]);
    }
    return tear_down(NULL);
}
