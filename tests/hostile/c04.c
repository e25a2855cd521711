/* SPDX-License-Identifier: MIT */
/* C04: IA32_APIC_BASE moved onto RAM, onto a host's address, disabled, back to xAPIC. Expected:
 * #GP for each change, and the value as it was. */
#include "tests/hostile/hostile.h"

#define MSR_APIC_BASE 0x1bu
#define EXTD          BIT(10)
#define ENABLE        BIT(11)
#define APIC_PAGE     0xfee00000ull

CASE(c04)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    const uint64_t bad[] = {base & ~EXTD, base & ~ENABLE, base & ~(EXTD | ENABLE), 0, UINT64_MAX,
                            (base & 0xfff) | 0x10000, (base & 0xfff) | 0x200000,
                            (base & 0xfff) | BIT(40), base | BIT(9), base ^ BIT(8), base | BIT(63)};

    expect((base & ~0xfffull) == APIC_PAGE && (base & EXTD) && (base & ENABLE), "it is %lx", base);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int vector = try_wrmsr(MSR_APIC_BASE, bad[i]);
        expect(vector == VECTOR_GP, "APIC base %lx: %s", bad[i], exception_name(vector));
        expect(rdmsr(MSR_APIC_BASE) == base, "it became %lx", rdmsr(MSR_APIC_BASE));
    }
    expect_vector(try_wrmsr(MSR_APIC_BASE, base), NO_EXCEPTION, "the same value");
}
