/* SPDX-License-Identifier: MIT */
/* J04: storms of exits, n= of them, for 300 ms. Expected: each burns its own share alone: the
 * witness has 90 % of its due. */
#include "tests/hostile/hostile.h"

#define STORM_MS 300
#define VECTOR   0x48

static void ignore(unsigned vector)
{
    (void)vector;
}

static bool on_trap(struct exception_frame *frame)
{
    (void)frame;
    return true;
}

static void storm(void)
{
    uint64_t value;

    switch (variant()) {
    case 0:
        cpuid(7, 0);
        break;
    case 1:
        out8(0x80, 1);
        break;
    case 2:
        try_rdmsr(0x480, &value);
        break;
    case 3:
        apic_timer_deadline(VECTOR, rdtsc() + 1);
        break;
    case 4:
        atoll_yield();
        break;
    case 5:
        apic_write(APIC_ICR, APIC_ICR_ALL | VECTOR);
        break;
    case 6:
        atoll_sleep_for(1);
        break;
    case 7:
        __asm__ volatile(".byte 0xf1"); /* INT1: the exit by #DB */
        break;
    case 8:
        write_cr4(read_cr4() ^ X86_CR4_PGE);
        break;
    case 9:
        interrupts_off(); /* or it may come before the sleep */
        apic_timer_deadline(VECTOR, rdtsc() + 500);
        wait_for_interrupt();
        interrupts_on();
        break;
    case 10:
        ATTEMPT("vmlaunch");
        break;
    case 11:
        apic_write(APIC_ICR, APIC_ICR_NMI | APIC_ICR_ASSERT | APIC_ICR_TO(0));
        break;
    }
}

CASE(j04)
{
    uint64_t end = now_ns() + STORM_MS * 1000000ull, count = 0;

    interrupt_handler_set(VECTOR, ignore);
    exception_handler_set(VECTOR_DB, on_trap);
    exception_handler_set(VECTOR_NMI, on_trap);
    while (now_ns() < end) {
        storm();
        count++;
    }
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    expect(count > 50, "only %lu times", count);
}
