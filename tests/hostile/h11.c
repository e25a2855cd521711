/* SPDX-License-Identifier: MIT */
/* H11: a flood of calls from all vCPUs, for 200 ms. Expected: the witness has its share. */
#include "tests/hostile/hostile.h"

static uint64_t end;

static void flood(void *unused)
{
    struct atoll_vm_info info;

    (void)unused;
    while (now_ns() < end) {
        atoll_null();
        atoll_vm_info(&info);
        atoll_wall_clock();
        atoll_call0(999);
    }
}

CASE(h11)
{
    end = now_ns() + 200000000;
    for (unsigned i = 1; i < vcpu_count(); i++)
        expect(vcpu_start(i, flood, NULL) == 0, "vCPU %u does not start", i);
    flood(NULL);
}
