/* SPDX-License-Identifier: MIT */
/* A10: XSETBV of values that no processor takes, at CPL 3, and without CR4.OSXSAVE. Expected: #GP,
 * #UD without OSXSAVE, and XCR0 as it was. */
#include "tests/hostile/hostile.h"

#define X87    BIT(0)
#define SSE    BIT(1)
#define AVX    BIT(2)
#define BNDREG BIT(3)
#define OPMASK BIT(5)
#define ZMM    BIT(6)

static int at_user;

static int try_xsetbv(uint32_t index, uint64_t value)
{
    return ATTEMPT("xsetbv", : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void try_user(void *unused)
{
    (void)unused;
    at_user = try_xsetbv(0, X87);
}

CASE(a10)
{
    static const uint64_t bad[] = {0, SSE, AVX, SSE | AVX, X87 | AVX, X87 | SSE | OPMASK,
                                   X87 | SSE | AVX | OPMASK, X87 | SSE | AVX | ZMM, X87 | BNDREG,
                                   X87 | BIT(8), X87 | BIT(62), X87 | BIT(63), UINT64_MAX};
    uint64_t cr4 = read_cr4();

    expect_vector(try_xsetbv(0, X87), VECTOR_UD, "XSETBV without OSXSAVE");
    if (!cpu_has(CPUID_XSAVE))
        return;
    write_cr4(cr4 | X86_CR4_OSXSAVE);
    expect(xcr0() == X87, "XCR0 starts as %lx", xcr0());
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int vector = try_xsetbv(0, bad[i]);
        expect(vector == VECTOR_GP, "XCR0=%lx: %s", bad[i], exception_name(vector));
    }
    for (uint32_t index = 1; index < 40; index++)
        expect_vector(try_xsetbv(index, X87), VECTOR_GP, "XSETBV of another register");
    user_run(try_user, NULL);
    expect_vector(at_user, VECTOR_GP, "XSETBV at CPL 3");
    expect(xcr0() == X87, "XCR0 became %lx", xcr0());
    for (unsigned i = 0; i < 200; i++) {
        try_xsetbv(0, i & 1 ? X87 | SSE : X87);
        expect(xcr0() == (i & 1 ? X87 | SSE : X87), "XCR0 does not follow");
        atoll_yield();
    }
    try_xsetbv(0, X87);
    write_cr4(cr4);
}
