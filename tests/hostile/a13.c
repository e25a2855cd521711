/* SPDX-License-Identifier: MIT */
/* A13: MONITOR, MWAIT, UMONITOR, UMWAIT, TPAUSE. Expected: #UD, for CPUID hides them. */
#include "tests/hostile/hostile.h"

static uint8_t line[64] __attribute__((aligned(64)));
static int at_user[2];

static void try_user(void *unused)
{
    (void)unused;
    at_user[0] = ATTEMPT("monitor", : : "a"(line), "c"(0), "d"(0));
    at_user[1] = ATTEMPT("mwait", : : "a"(0), "c"(0));
}

CASE(a13)
{
    expect_vector(ATTEMPT("monitor", : : "a"(line), "c"(0), "d"(0)), VECTOR_UD, "MONITOR");
    expect_vector(ATTEMPT("mwait", : : "a"(0), "c"(0)), VECTOR_UD, "MWAIT");
    expect_vector(ATTEMPT("mwait", : : "a"(0xf0), "c"(1)), VECTOR_UD, "MWAIT, interrupts break");
    expect_vector(ATTEMPT("umonitor %%rax", : : "a"(line)), VECTOR_UD, "UMONITOR");
    expect_vector(ATTEMPT("umwait %%ecx", : : "a"(0), "d"(0), "c"(0)), VECTOR_UD, "UMWAIT");
    expect_vector(ATTEMPT("tpause %%ecx", : : "a"(0), "d"(0), "c"(0)), VECTOR_UD, "TPAUSE");
    user_run(try_user, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(at_user); i++)
        expect(at_user[i] == VECTOR_UD, "at CPL 3: %s", exception_name(at_user[i]));
}
