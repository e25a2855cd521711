/* SPDX-License-Identifier: MIT */
/* G11: all vectors from 32 to 255 pending at once behind CLI. Expected: each comes once, the
 * highest first. */
#include "tests/hostile/hostile.h"

static volatile unsigned count, last = 256, wrong;

static bool on_event(struct exception_frame *frame)
{
    wrong += frame->vector >= last;
    last = (unsigned)frame->vector;
    count++;
    apic_end_of_interrupt();
    return true;
}

CASE(g11)
{
    for (unsigned vector = 32; vector < 256; vector++)
        exception_handler_set(vector, on_event);
    for (unsigned round = 1; round <= 5; round++) {
        interrupts_off();
        for (unsigned vector = 32; vector < 256; vector++)
            apic_write(APIC_SELF_IPI, 32 + (vector * 5) % 224);
        last = 256;
        interrupts_on();
        for (unsigned i = 0; i < 1000 && count < round * 224; i++)
            cpu_pause();
        expect(count == round * 224, "%u came, not %u", count, round * 224);
    }
    expect(wrong == 0, "%u in the wrong order", wrong);
}
