/* SPDX-License-Identifier: MIT */
/* Any sequence of what a guest and others do to a local APIC, against the model of the unit test,
 * which is included: the random numbers of its steps are the bytes of the input. Then any MSR is
 * read and written: what is #GP changes nothing. */
#include "tests/fuzz/input.h"

#include <pthread.h> /* before the word that stands for main */

static struct input choices;

#define FUZZ_CHOICES choices
#define main         unit_test
#include "tests/unit/test_vapic.c"
#undef main

static void access_any(void)
{
    static uint64_t page_before[PAGE_SIZE / 8];
    uint8_t how = (uint8_t)draw(&choices, 1);
    uint32_t msr = how & 1 ? TSC_DEADLINE : VAPIC_MSR_FIRST + (uint32_t)draw(&choices, 1);
    uint64_t value = draw(&choices, how & 2 ? 8 : 2), now = draw(&choices, how & 4 ? 8 : 2), read;
    struct vapic before;
    struct vapic_ipi ipi = {.vector = 0xee};

    memcpy(page_before, page, sizeof(page));
    memcpy(&before, &apic, sizeof(apic));
    if (!vapic_read(&apic, msr, now, &read))
        require(find_register(msr) == ARRAY_SIZE(registers) ||
                    !(registers[find_register(msr)].access & R),
                "#GP for a register that can be read");
    require(memcmp(page, page_before, sizeof(page)) == 0, "a read that changes");
    enum vapic_effect effect = vapic_write(&apic, msr, value, now, &ipi);
    if (effect == VAPIC_GP)
        require(memcmp(page, page_before, sizeof(page)) == 0 &&
                    memcmp(&apic, &before, sizeof(apic)) == 0,
                "#GP that changes");
    if (effect == VAPIC_SEND)
        require(ipi.shorthand < 4 && (ipi.delivery <= VAPIC_LOWEST ||
                                      (ipi.delivery >= VAPIC_NMI && ipi.delivery <= VAPIC_SIPI)),
                "an IPI that is none");
    else
        require(ipi.vector == 0xee, "an IPI that is not sent");
    if (vapic_timer_run(&apic, now))
        require(apic.deadline > now || now >= VAPIC_NEVER - 1, "a timer that is due at once again");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    choices = (struct input){data, size};
    require(set_up(NULL) == 0, "an APIC");
    memset(&model, 0, sizeof(model));
    model.enabled = true;
    model.lvt_timer = model.lvt_error = MASKED;
    for (unsigned steps = (unsigned)draw(&choices, 1) % 64; steps > 0 && choices.left > 0; steps--)
        random_step();
    while (choices.left > 0)
        access_any();
    return 0;
}
