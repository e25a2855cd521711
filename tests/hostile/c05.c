/* SPDX-License-Identifier: MIT */
/* C05: all x2APIC MSRs, read and written with any value, before and behind attempts to go to xAPIC
 * mode, which a guest's APIC never is in (C04). Expected: #GP or the guest's own APIC: no interrupt
 * of the machine changes, which the others would notice. */
#include "tests/hostile/hostile.h"

static volatile unsigned arrived;

static bool swallow(struct exception_frame *frame)
{
    if (frame->vector >= 32 && apic_bit(APIC_ISR, (unsigned)frame->vector))
        apic_end_of_interrupt();
    arrived++;
    return true;
}

static void read_and_write_all(void)
{
    uint64_t value;

    for (uint32_t msr = 0x800; msr <= 0x8ff; msr++) {
        int vector = try_rdmsr(msr, &value);
        expect(vector == VECTOR_GP || vector == NO_EXCEPTION, "RDMSR %x", msr);
        look(value);
        if (msr == 0x830) /* an INIT to itself ends a guest: G02 */
            continue;
        for (unsigned i = 0; i < 40; i++) {
            uint64_t written = i == 0 ? 0 : i == 1 ? UINT64_MAX : random_next() >> (i % 4 * 16);
            vector = try_wrmsr(msr, written);
            expect(vector == VECTOR_GP || vector == NO_EXCEPTION, "WRMSR %x", msr);
        }
    }
}

CASE(c05)
{
    for (unsigned vector = 32; vector < 256; vector++)
        exception_handler_set(vector, swallow);
    exception_handler_set(VECTOR_NMI, swallow);
    read_and_write_all();
    for (uint64_t mode = 0; mode < 3; mode++) /* disabled, EXTD alone, xAPIC */
        expect_vector(try_wrmsr(0x1b, 0xfee00000 | mode << 10), VECTOR_GP, "IA32_APIC_BASE");
    read_and_write_all();
    try_wrmsr(0x832, BIT(16));
    try_wrmsr(0x80f, 0x1ff);
    try_wrmsr(0x808, 0);
    try_wrmsr(0x6e0, 0);
    unsigned before = arrived;
    apic_write(APIC_SELF_IPI, 0x41);
    uint64_t end = now_ns() + 10000000;
    while (arrived == before && now_ns() < end)
        cpu_pause();
    expect(arrived > before, "the APIC does not work any more");
}
