/* SPDX-License-Identifier: MIT */
/* B14: LLDT of null and of odd descriptors, LTR of null, of a busy TSS and of what is no TSS, the
 * TSS descriptor made available, 16-bit, not present behind its load; long mode with a 16-bit TSS.
 * Expected: what the processor says, and exits go on as before. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"
#include "tests/hostile/modes.h"

/* Types of the TSS's descriptor, and what its LTR then answers; the processor has loaded it before,
 * so it works on. */
static void change_types(void)
{
    static const struct {
        uint8_t type;
        int vector;
    } types[] = {{0x89, NO_EXCEPTION}, {0x8b, VECTOR_GP}, {0x81, VECTOR_GP}, {0x83, VECTOR_GP},
                 {0x82, VECTOR_GP},    {0x09, 11},        {0x8c, VECTOR_GP}};
    struct descriptor_pointer gdt;

    __asm__ volatile("sgdt %0" : "=m"(gdt));
    volatile uint8_t *type = (uint8_t *)(gdt.base + SELECTOR_TSS + 5);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        *type = types[i].type;
        cpuid(0, 0);
        atoll_yield();
        expect_vector(ATTEMPT("ltr %w0", : : "r"(SELECTOR_TSS)), types[i].vector, "LTR");
        expect_vector(ATTEMPT("ud2"), VECTOR_UD, "an exception with it");
    }
    *type = 0x8b;
}

CASE(b14)
{
    static const uint32_t bad[] = {0, SELECTOR_TSS /* busy */, SELECTOR_DATA, SELECTOR_CODE64,
                                   0xfff8, 4 /* of an LDT */};

    for (unsigned i = 0; i < 50; i++) {
        expect_vector(ATTEMPT("lldt %w0", : : "r"(0)), NO_EXCEPTION, "LLDT of null");
        cpuid(0, 0);
        for (size_t j = 0; j < ARRAY_SIZE(bad); j++)
            expect_vector(ATTEMPT("ltr %w0", : : "r"(bad[j])), VECTOR_GP, "LTR");
        expect_vector(ATTEMPT("lldt %w0", : : "r"(SELECTOR_DATA)), VECTOR_GP, "LLDT of data");
        expect_vector(ATTEMPT("mov %0, %%ss", : : "r"(0xfff0)), VECTOR_GP, "SS beyond the GDT");
        expect_vector(ATTEMPT("mov %0, %%ss", : : "r"(0)), NO_EXCEPTION, "a null SS");
        atoll_yield();
        __asm__ volatile("mov %0, %%ss" : : "r"(SELECTOR_DATA));
    }
    change_types();
    for (unsigned i = 0; i < 20; i++)
        expect(run32(long_with_tss16) == 1, "long mode with a 16-bit TSS: no #GP");
}
