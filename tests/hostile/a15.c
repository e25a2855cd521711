/* SPDX-License-Identifier: MIT */
/* A15: RDPMC of all indices, at both privileges. Expected: #GP. */
#include "tests/hostile/hostile.h"

static int at_user;

static int try_rdpmc(uint32_t index)
{
    uint32_t low = 0, high = 0;
    int vector = ATTEMPT("rdpmc", : "+a"(low), "+d"(high) : "c"(index));

    look((uint64_t)high << 32 | low);
    return vector;
}

static void try_user(void *unused)
{
    (void)unused;
    at_user = try_rdpmc(0);
}

CASE(a15)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        expect_vector(try_rdpmc((uint32_t)BIT(bit)), VECTOR_GP, "RDPMC of one bit");
        expect_vector(try_rdpmc(~(uint32_t)BIT(bit)), VECTOR_GP, "RDPMC of all bits but one");
    }
    for (uint32_t index = 0; index < 64; index++) {
        expect_vector(try_rdpmc(index), VECTOR_GP, "RDPMC");
        expect_vector(try_rdpmc(BIT(30) | index), VECTOR_GP, "RDPMC, fixed counter");
        expect_vector(try_rdpmc(BIT(31) | index), VECTOR_GP, "RDPMC, fast");
    }
    expect_vector(ATTEMPT("mov %0, %%cr4", : : "r"(read_cr4() | X86_CR4_PCE)), NO_EXCEPTION,
                  "CR4.PCE");
    user_run(try_user, NULL);
    expect_vector(at_user, VECTOR_GP, "RDPMC at CPL 3 with CR4.PCE");
}
