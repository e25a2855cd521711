/* SPDX-License-Identifier: MIT */
/* A13: MONITOR, MWAIT, UMONITOR, UMWAIT, TPAUSE. Expected: #UD, for CPUID hides them. */
#include "tests/hostile/hostile.h"

static uint8_t line[64] __attribute__((aligned(64)));
static int got[6];

static void try_all(void *unused)
{
    (void)unused;
    got[0] = ATTEMPT("monitor", : : "a"(line), "c"(0), "d"(0));
    got[1] = ATTEMPT("mwait", : : "a"(0), "c"(0));
    got[2] = ATTEMPT("mwait", : : "a"(0xf0), "c"(1)); /* interrupts that are off break it, too */
    got[3] = ATTEMPT("umonitor %%rax", : : "a"(line));
    got[4] = ATTEMPT("umwait %%ecx", : : "a"(0), "d"(0), "c"(0));
    got[5] = ATTEMPT("tpause %%ecx", : : "a"(0), "d"(0), "c"(0));
}

CASE(a13)
{
    try_all(NULL);
    for (size_t i = 0; i < ARRAY_SIZE(got); i++)
        expect(got[i] == VECTOR_UD, "%zu at CPL 0: %s", i, exception_name(got[i]));
    memset(got, 0, sizeof(got));
    user_run(try_all, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(got); i++)
        expect(got[i] == VECTOR_UD, "%zu at CPL 3: %s", i, exception_name(got[i]));
}
