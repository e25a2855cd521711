/* SPDX-License-Identifier: MIT */
/* B03: bits of CR4 that a guest may not have, or not in this mode. Expected: #GP, and CR4 as it
 * was; what it may set reads back alone. */
#include "tests/hostile/hostile.h"

CASE(b03)
{
    static const unsigned refused[] = {12, 13, 14, 15, 19, 22, 23, 24, 25, 26, 27, 31, 32, 63};
    static const unsigned given[] = {2, 3, 7, 8};
    uint64_t cr4 = read_cr4();

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        int vector = ATTEMPT("mov %0, %%cr4", : : "r"(cr4 | BIT(refused[i])) : "memory");
        expect(vector == VECTOR_GP, "CR4 bit %u: %s", refused[i], exception_name(vector));
        expect(read_cr4() == cr4, "CR4 became %lx", read_cr4());
    }
    expect_vector(ATTEMPT("mov %0, %%cr4", : : "r"(cr4 & ~X86_CR4_PAE) : "memory"), VECTOR_GP,
                  "no PAE in long mode");
    expect_vector(ATTEMPT("mov %0, %%cr4", : : "r"(UINT64_MAX) : "memory"), VECTOR_GP, "all ones");
    uint64_t cr3 = read_cr3();
    write_cr3(cr3 | 8); /* PCIDE wants the low bits of CR3 clear */
    expect_vector(ATTEMPT("mov %0, %%cr4", : : "r"(cr4 | X86_CR4_PCIDE) : "memory"), VECTOR_GP,
                  "PCIDE with low bits in CR3");
    write_cr3(cr3);
    for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
        write_cr4(cr4 | BIT(given[i]));
        expect(read_cr4() == (cr4 | BIT(given[i])), "CR4 reads %lx", read_cr4());
        write_cr4(cr4);
    }
}
