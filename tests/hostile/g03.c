/* SPDX-License-Identifier: MIT */
/* G03: vectors below 16 in the ICR, by self-IPI, in the timer's and the error's own entry.
 * Expected: bits of the ESR, at most one error interrupt each, and no endless errors. */
#include "tests/hostile/hostile.h"

#define ERRORS 0x60 /* vector */

static volatile unsigned errors;

static void on_error(unsigned vector)
{
    (void)vector;
    errors++;
}

static uint64_t esr(void)
{
    apic_write(APIC_ESR, 0);
    return apic_read(APIC_ESR);
}

CASE(g03)
{
    uint64_t seen = 0;

    interrupt_handler_set(ERRORS, on_error);
    try_wrmsr(APIC_LVT_ERROR, ERRORS);
    esr();
    for (unsigned round = 0; round < 50; round++) {
        for (uint64_t vector = 0; vector < 16; vector++) {
            try_wrmsr(APIC_ICR, APIC_ICR_SELF | vector);
            seen |= esr();
            try_wrmsr(APIC_ICR, APIC_ICR_TO(0) | APIC_ICR_ASSERT | vector);
            try_wrmsr(APIC_SELF_IPI, vector);
            seen |= esr();
            try_wrmsr(APIC_LVT_TIMER, vector);
            try_wrmsr(APIC_INITIAL_COUNT, 1);
            seen |= esr();
        }
    }
    expect(seen & 0x60, "the ESR was %lx at most", seen);
    for (uint64_t vector = 0; vector < 16; vector++) { /* an error whose interrupt is an error */
        try_wrmsr(APIC_LVT_ERROR, vector);
        for (unsigned i = 0; i < 20; i++) {
            try_wrmsr(APIC_SELF_IPI, i % 16);
            seen |= esr();
        }
    }
    try_wrmsr(APIC_LVT_TIMER, APIC_LVT_MASKED);
    try_wrmsr(APIC_LVT_ERROR, APIC_LVT_MASKED);
    expect(errors <= 50 * 16 * 4, "%u error interrupts", errors);
}
