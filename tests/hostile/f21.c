/* SPDX-License-Identifier: MIT */
/* F21: an NMI and two interrupts pending at once, 10000 rounds. Expected: none is lost, none comes
 * twice, the higher vector first. */
#include "tests/hostile/hostile.h"

#define LOW  0x51
#define HIGH 0x91

static volatile unsigned nmis, lows, highs;
static unsigned wrong_order;

static bool on_event(struct exception_frame *frame)
{
    if (frame->vector == VECTOR_NMI) {
        nmis++;
        return true;
    }
    if (frame->vector == HIGH)
        highs++;
    else
        wrong_order += ++lows > highs;
    apic_end_of_interrupt();
    return true;
}

CASE(f21)
{
    exception_handler_set(VECTOR_NMI, on_event);
    exception_handler_set(LOW, on_event);
    exception_handler_set(HIGH, on_event);
    for (unsigned round = 1; round <= 10000; round++) {
        interrupts_off();
        apic_write(APIC_SELF_IPI, LOW);
        apic_write(APIC_SELF_IPI, HIGH);
        apic_write(APIC_ICR, APIC_ICR_NMI | APIC_ICR_ASSERT | APIC_ICR_TO(0));
        if (round % 3 == 0)
            cpuid(0, 0);
        interrupts_on();
        for (unsigned i = 0; i < 100 && (lows < round || nmis < round); i++)
            cpu_pause();
        expect(nmis == round && lows == round && highs == round, "round %u: %u NMIs, %u, %u",
               round, nmis, lows, highs);
    }
    expect(wrong_order == 0, "%u in the wrong order", wrong_order);
}
