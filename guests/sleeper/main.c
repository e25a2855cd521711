/* SPDX-License-Identifier: MIT */
/* A guest that sleeps in HLT until the TSC-deadline timer wakes it, and measures how late that is.
 * Options: n=N wake-ups (100), gap=N microseconds between them (1000). */
#include "guests/lib/guest.h"

#define TIMER_VECTOR   0x40
#define DEFAULT_COUNT  100
#define DEFAULT_GAP_US 1000

static volatile uint64_t woken_at; /* TSC; 0: not yet */

static void on_timer(unsigned vector)
{
    (void)vector;
    woken_at = rdtsc();
}

static uint64_t sleep_until(uint64_t deadline)
{
    woken_at = 0;
    apic_timer_deadline(TIMER_VECTOR, deadline);
    interrupts_off();
    while (!woken_at)
        wait_for_interrupt();
    interrupts_on();
    return woken_at;
}

static uint64_t microseconds(uint64_t ticks)
{
    return ticks * 1000000 / tsc_hz();
}

int main(void)
{
    uint64_t count = MAX(guest_option_number("n", DEFAULT_COUNT), 1u);
    uint64_t gap = guest_option_number("gap", DEFAULT_GAP_US) * (tsc_hz() / 1000000);
    uint64_t shortest = UINT64_MAX, longest = 0, sum = 0;

    if (!cpu_has(CPUID_DEADLINE)) {
        printf("sleeper: CPUID shows no TSC-deadline timer\n");
        return 2;
    }
    interrupt_handler_set(TIMER_VECTOR, on_timer);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t deadline = rdtsc() + gap;
        uint64_t woken = sleep_until(deadline);
        if (woken < deadline) {
            printf("FAILURE: woken %lu ticks before the deadline\n", deadline - woken);
            return 1;
        }
        uint64_t late = woken - deadline;
        shortest = MIN(shortest, late);
        longest = MAX(longest, late);
        sum += late;
    }
    uint64_t mean = sum / count;
    printf("sleeper: %lu wake-ups, late by %lu, mean %lu, at most %lu ticks (%lu, %lu, %lu us)\n",
           count, shortest, mean, longest, microseconds(shortest), microseconds(mean),
           microseconds(longest));
    return 0;
}
