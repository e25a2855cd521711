/* SPDX-License-Identifier: MIT */
/* G02: the ICR with all delivery modes, shorthands and destinations. Expected: it reaches its own
 * vCPUs alone, what is reserved is #GP, and no core and no other guest notices. */
#include "tests/hostile/hostile.h"

static volatile unsigned nmis, fixed;

static bool on_event(struct exception_frame *frame)
{
    if (frame->vector == VECTOR_NMI) {
        nmis++;
        return true;
    }
    fixed++;
    apic_end_of_interrupt();
    return true;
}

CASE(g02)
{
    static const uint32_t destinations[] = {0, 1, 2, 63, 254, 255, 0x10001, UINT32_MAX, 0xffff0000};
    unsigned taken = 0;

    exception_handler_set(VECTOR_NMI, on_event);
    exception_handler_set(0x44, on_event);
    for (uint64_t mode = 0; mode < 8; mode++) {
        for (uint64_t shorthand = 0; shorthand < 4; shorthand++) {
            for (size_t i = 0; i < ARRAY_SIZE(destinations) * 4; i++) {
                uint64_t destination = destinations[i / 4];
                uint64_t logical = i & 1 ? APIC_ICR_LOGICAL : 0, level = i & 2 ? BIT(15) : 0;
                bool self = shorthand == 1 || shorthand == 2 ||
                            (shorthand == 0 && (destination == 0 || destination == UINT32_MAX ||
                                                logical));
                if (mode == 5 && self)
                    continue; /* that resets it: F22 */
                uint64_t value = destination << 32 | shorthand << 18 | level | APIC_ICR_ASSERT |
                                 logical | mode << 8 | 0x44;
                int vector = try_wrmsr(APIC_ICR, value);
                expect(vector == NO_EXCEPTION || vector == VECTOR_GP, "ICR %lx: %s", value,
                       exception_name(vector));
                taken += vector == NO_EXCEPTION;
            }
        }
    }
    expect(taken > 100 && fixed > 0 && nmis > 0, "%u taken, %u interrupts, %u NMIs", taken, fixed,
           nmis);
    unsigned before = fixed;
    apic_write(APIC_ICR, APIC_ICR_SELF | 0x44);
    for (unsigned i = 0; i < 100 && fixed == before; i++)
        cpu_pause();
    expect(fixed == before + 1, "an IPI to itself came %u times", fixed - before);
    for (unsigned bit = 20; bit < 32; bit++)
        expect_vector(try_wrmsr(APIC_ICR, BIT(bit) | APIC_ICR_SELF | 0x44), VECTOR_GP, "reserved");
}
