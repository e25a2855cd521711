/* SPDX-License-Identifier: MIT */
/* A17: RSM outside of system management, at both privileges. Expected: #UD. */
#include "tests/hostile/hostile.h"

static int at_user;

static void try_user(void *unused)
{
    (void)unused;
    at_user = ATTEMPT("rsm");
}

CASE(a17)
{
    for (unsigned i = 0; i < 100; i++)
        expect_vector(ATTEMPT("rsm"), VECTOR_UD, "RSM");
    user_run(try_user, NULL);
    expect_vector(at_user, VECTOR_UD, "RSM at CPL 3");
}
