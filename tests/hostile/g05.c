/* SPDX-License-Identifier: MIT */
/* G05: TSC deadlines in the past, now, at 2^64 - 1, written anew in a loop. Expected: one
 * interrupt for each that is due, at most, and none for what is never. Where others hold the guest
 * up for longer than a deadline is away, that one is due. */
#include "tests/hostile/hostile.h"

#define TIMER 0x47

static volatile unsigned ticks;

static void on_tick(unsigned vector)
{
    (void)vector;
    ticks++;
}

CASE(g05)
{
    interrupt_handler_set(TIMER, on_tick);
    apic_write(APIC_LVT_TIMER, APIC_LVT_DEADLINE | TIMER);
    for (unsigned i = 1; i <= 200; i++) {
        unsigned before = ticks;
        wrmsr(APIC_TSC_DEADLINE, i & 1 ? 1 : rdtsc());
        spin_us(50);
        expect(ticks - before == 1, "a deadline in the past came %u times", ticks - before);
    }
    unsigned before = ticks;
    for (unsigned i = 0; i < 3000; i++)
        wrmsr(APIC_TSC_DEADLINE, UINT64_MAX - i);
    wrmsr(APIC_TSC_DEADLINE, 0);
    spin_us(500);
    expect(ticks == before, "a deadline that is never came %u times", ticks - before);
    uint64_t due = UINT64_MAX;
    unsigned late = 0;
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t next = rdtsc() + 1000000 + i;
        wrmsr(APIC_TSC_DEADLINE, next);
        late += rdtsc() >= due;
        due = next;
    }
    spin_us(100);
    unsigned came = ticks - before;
    expect(came <= late + (rdtsc() >= due), "%u deadlines came, %u were due", came, late);
    spin_us(60000);
    expect(ticks - before > 0 && ticks - before <= late + 1,
           "the last of 3000 deadlines came %u times", ticks - before - came);
}
