/* SPDX-License-Identifier: MIT */
/* Any guests on any number of cores, disturbed in any way, with the bytes of the input as the first
 * random numbers of the unit test's machine, which is included: which guests there are, what they
 * do, and who overtakes whom. Its watch has the rules; every run comes to its end. */
#include "tests/fuzz/input.h"

static struct input choices;

/* In clang, gcc's built-in functions refuse what is _Atomic, and its own what is not: a load may be
 * of either. */
#define __atomic_load_n(object, order) (*(object))
#define __atomic_store_n    __c11_atomic_store
#define __atomic_exchange_n __c11_atomic_exchange
#define __atomic_fetch_add  __c11_atomic_fetch_add
#define __atomic_fetch_sub  __c11_atomic_fetch_sub
#define __atomic_fetch_and  __c11_atomic_fetch_and
#define __atomic_fetch_or   __c11_atomic_fetch_or

#define FUZZ_CHOICES choices
#define CHAOS_TICKS  200000 /* ten slices */
#define main         unit_test
#include "tests/unit/test_sched.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    choices = (struct input){data, size};
    uint64_t seed = draw(&choices, 2);
    run_chaos(seed);
    return 0;
}
