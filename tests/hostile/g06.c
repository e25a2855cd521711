/* SPDX-License-Identifier: MIT */
/* G06: EOI with nothing in service, other values in it, storms of TPR writes. Expected: no effect,
 * #GP for values that are reserved. */
#include "tests/hostile/hostile.h"

CASE(g06)
{
    for (unsigned i = 0; i < 5000; i++) {
        apic_write(APIC_EOI, 0);
        apic_write(APIC_TPR, i & 0xff);
        expect(apic_read(APIC_TPR) == (i & 0xff), "the TPR is %lx", apic_read(APIC_TPR));
        write_cr8(i & 15);
    }
    apic_write(APIC_TPR, 0);
    expect_vector(try_wrmsr(APIC_EOI, 1), VECTOR_GP, "EOI of 1");
    expect_vector(try_wrmsr(APIC_EOI, BIT(63)), VECTOR_GP, "EOI of 2^63");
    expect_vector(try_wrmsr(APIC_TPR, 0x100), VECTOR_GP, "TPR of 256");
    for (unsigned vector = 0; vector < 256; vector++)
        expect(!apic_bit(APIC_ISR, vector), "vector %u is in service", vector);
}
