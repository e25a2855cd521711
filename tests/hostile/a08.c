/* SPDX-License-Identifier: MIT */
/* A08: VMFUNC of leaves 0 to 63, with ECX up to 512. Expected: #UD. */
#include "tests/hostile/hostile.h"

CASE(a08)
{
    for (uint32_t leaf = 0; leaf < 64; leaf++)
        for (uint32_t index = 0; index <= 512; index++)
            expect_vector(ATTEMPT("vmfunc", : : "a"(leaf), "c"(index)), VECTOR_UD, "VMFUNC");
}
