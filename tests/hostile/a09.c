/* SPDX-License-Identifier: MIT */
/* A09: GETSEC of all leaves. Expected: #UD, for CR4.SMXE cannot be set. */
#include "tests/hostile/hostile.h"

CASE(a09)
{
    for (uint32_t leaf = 0; leaf < 32; leaf++)
        expect_vector(ATTEMPT("getsec", : : "a"(leaf), "b"(0), "c"(0)), VECTOR_UD, "GETSEC");
    expect_vector(ATTEMPT("getsec", : : "a"(UINT32_MAX), "b"(0), "c"(0)), VECTOR_UD, "GETSEC -1");
    expect_vector(ATTEMPT("mov %0, %%cr4", : : "r"(read_cr4() | X86_CR4_SMXE)), VECTOR_GP,
                  "CR4.SMXE");
}
