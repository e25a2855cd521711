/* SPDX-License-Identifier: MIT */
/* G04: the timer with all divisors, counts 0, 1 and the largest, periodic with count 1. Expected:
 * no division by zero, few enough interrupts, and the others have their share. */
#include "tests/hostile/hostile.h"

#define TIMER 0x46

static volatile unsigned ticks;

static void on_tick(unsigned vector)
{
    (void)vector;
    ticks++;
}

CASE(g04)
{
    static const uint32_t counts[] = {0, 1, 2, UINT32_MAX, 0x80000000};

    interrupt_handler_set(TIMER, on_tick);
    interrupts_off(); /* a period shorter than the handler would leave no time for anything else */
    for (uint64_t divide = 0; divide < 16; divide++) {
        for (uint64_t mode = 0; mode < 3; mode++) {
            for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
                try_wrmsr(APIC_DIVIDE, divide);
                try_wrmsr(APIC_LVT_TIMER, mode << 17 | TIMER);
                try_wrmsr(APIC_INITIAL_COUNT, counts[i]);
                look(apic_read(APIC_CURRENT_COUNT));
                spin_us(20);
            }
        }
    }
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_INITIAL_COUNT, 0);
    interrupts_on();
    interrupts_off();
    unsigned before = ticks;
    apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, APIC_LVT_PERIODIC | TIMER);
    apic_write(APIC_INITIAL_COUNT, 1);
    uint64_t start = now_ns();
    while (now_ns() - start < 50000000)
        cpu_pause();
    apic_write(APIC_INITIAL_COUNT, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    interrupts_on();
    spin_us(2000);
    expect(ticks == before + 1, "a periodic timer of 1 ticked %u times behind CLI", ticks - before);
}
