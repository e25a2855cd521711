/* SPDX-License-Identifier: MIT */
/* A07: the other vendor's call instruction, VMMCALL, at both privileges. Expected: #UD. */
#include "tests/hostile/hostile.h"

static int at_user;

static void try_user(void *unused)
{
    (void)unused;
    at_user = ATTEMPT("vmmcall", : : "a"(ATOLL_CALL_EXIT), "D"(1));
}

CASE(a07)
{
    for (uint64_t number = 0; number < 64; number++)
        expect_vector(ATTEMPT("vmmcall", : : "a"(number), "D"(1)), VECTOR_UD, "VMMCALL");
    user_run(try_user, NULL);
    expect_vector(at_user, VECTOR_UD, "VMMCALL at CPL 3");
}
