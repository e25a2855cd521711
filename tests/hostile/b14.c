/* SPDX-License-Identifier: MIT */
/* B14: LLDT of null and of odd descriptors, LTR of null, of a busy TSS and of what is no TSS.
 * Expected: what the processor says, and exits go on as before. */
#include "tests/hostile/hostile.h"

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
}
