/* SPDX-License-Identifier: MIT */
/* A guest for `top` to show: the first VM computes without end, the second one exits as often as it
 * can in half of its time, all others sleep. */
#include "guests/lib/guest.h"

#define BURST    500 /* exits between two naps */
#define NAP_NS   2000000
#define SLEEP_NS (3600 * 1000000000ull)

static _Noreturn void compute(void)
{
    for (;;)
        __asm__ volatile("" ::: "memory");
}

static _Noreturn void exit_often(void)
{
    for (;;) {
        for (unsigned i = 0; i < BURST; i++)
            cpuid(0, 0);
        atoll_sleep_for(NAP_NS);
    }
}

int main(void)
{
    unsigned vm = cpuid(ATOLL_CPUID_INFO, 0).ebx;

    if (vm == 0)
        compute();
    if (vm == 1)
        exit_often();
    atoll_sleep_for(SLEEP_NS);
    return 1;
}
