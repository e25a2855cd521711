/* SPDX-License-Identifier: MIT */
/* J12: two vCPUs that hand a time stamp to and fro, each moved to another core behind every slice.
 * Expected: no vCPU sees a time before the other's last. */
#include "tests/hostile/hostile.h"

static _Atomic uint64_t last;
static _Atomic unsigned steps, back;

static void step(void)
{
    uint64_t before = atomic_load(&last), now = rdtsc();

    if (now < before)
        atomic_fetch_add(&back, 1);
    atomic_compare_exchange_strong(&last, &before, now);
    atomic_fetch_add(&steps, 1);
}

static void other(void *unused)
{
    (void)unused;
    for (;;)
        step();
}

CASE(j12)
{
    uint64_t end = now_ns() + 200000000;

    expect(vcpu_start(1, other, NULL) == 0, "vCPU 1 does not start");
    while (now_ns() < end)
        step();
    expect(atomic_load(&steps) > 1000, "only %u steps", atomic_load(&steps));
    expect(atomic_load(&back) == 0, "time ran back %u times of %u", atomic_load(&back),
           atomic_load(&steps));
}
