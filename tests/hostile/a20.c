/* SPDX-License-Identifier: MIT */
/* A20: ENCLS, ENCLV, PCONFIG, LOADIWKEY, XSAVES, XRSTORS, RDRAND, RDSEED, all hidden by CPUID.
 * Expected: #UD. */
#include "tests/hostile/hostile.h"

static uint8_t area[4096] __attribute__((aligned(64)));

CASE(a20)
{
    for (uint32_t leaf = 0; leaf < 32; leaf++) {
        expect_vector(ATTEMPT("encls", : : "a"(leaf), "b"(0), "c"(0), "d"(0)), VECTOR_UD, "ENCLS");
        expect_vector(ATTEMPT("enclv", : : "a"(leaf), "b"(0), "c"(0), "d"(0)), VECTOR_UD, "ENCLV");
        expect_vector(ATTEMPT("pconfig", : : "a"(leaf), "b"(0), "c"(0), "d"(0)), VECTOR_UD,
                      "PCONFIG");
    }
    expect_vector(ATTEMPT(".byte 0xf3, 0x0f, 0x38, 0xdc, 0xca", : : "a"(0)), VECTOR_UD,
                  "LOADIWKEY");
    expect_vector(ATTEMPT("xsaves64 %0", : "+m"(area) : "a"(0), "d"(0)), VECTOR_UD, "XSAVES");
    expect_vector(ATTEMPT("xrstors64 %0", : : "m"(area), "a"(0), "d"(0)), VECTOR_UD, "XRSTORS");
    write_cr4(read_cr4() | X86_CR4_OSXSAVE);
    expect_vector(ATTEMPT("xsaves64 %0", : "+m"(area) : "a"(1), "d"(0)), VECTOR_UD, "XSAVES");
    for (unsigned i = 0; i < 100; i++) {
        expect_vector(ATTEMPT("rdrand %%rax", : : : "rax"), VECTOR_UD, "RDRAND");
        expect_vector(ATTEMPT("rdseed %%rax", : : : "rax"), VECTOR_UD, "RDSEED");
    }
}
