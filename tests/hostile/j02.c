/* SPDX-License-Identifier: MIT */
/* J02: vCPU 0 ends the guest while the others (n=) compute, call, sleep, wait in HLT, touch new
 * memory or have a reply written. Expected: the end comes at once, and all frames come back. */
#include "tests/hostile/hostile.h"

static _Atomic unsigned running;

static void act(void *unused)
{
    struct atoll_vm_info info;

    (void)unused;
    atomic_fetch_add(&running, 1);
    for (;;) {
        switch (variant()) {
        case 0:
            cpu_pause();
            break;
        case 1:
            atoll_null();
            break;
        case 2:
            atoll_sleep_for(1000000000000);
            break;
        case 3:
            halt();
            break;
        case 4: {
            volatile uint64_t *page = pages_alloc(1);
            if (page)
                *page = 1;
            break;
        }
        case 5:
            atoll_vm_info(&info);
            break;
        }
    }
}

CASE(j02)
{
    for (unsigned i = 1; i < vcpu_count(); i++)
        expect(vcpu_start(i, act, NULL) == 0, "vCPU %u does not start", i);
    while (atomic_load(&running) + 1 < vcpu_count())
        atoll_yield();
    spin_us(2000);
}
