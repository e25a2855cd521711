/* SPDX-License-Identifier: MIT */
/* B01: values of CR0 that no processor takes. Expected: #GP, and CR0 as it was. */
#include "tests/hostile/hostile.h"

static void try(uint64_t cr0, uint64_t bad)
{
    int vector = ATTEMPT("mov %0, %%cr0", : : "r"(bad) : "memory");

    expect(vector == VECTOR_GP, "CR0=%lx: %s", bad, exception_name(vector));
    expect(read_cr0() == cr0, "CR0 became %lx", read_cr0());
}

CASE(b01)
{
    uint64_t cr0 = read_cr0();
    const uint64_t bad[] = {
        cr0 & ~X86_CR0_PE, (cr0 | X86_CR0_NW) & ~X86_CR0_CD, cr0 & ~X86_CR0_PG & ~X86_CR0_PE,
        cr0 | ~(uint64_t)UINT32_MAX, 0, UINT64_MAX,
        X86_CR0_PG, /* without PE */
        cr0 & ~X86_CR0_PG, /* in 64-bit code */
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        try(cr0, bad[i]);
    for (unsigned bit = 32; bit < 64; bit++)
        try(cr0, cr0 | BIT(bit));
}
