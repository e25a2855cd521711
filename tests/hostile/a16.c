/* SPDX-License-Identifier: MIT */
/* A16: RDTSC, RDTSCP and RDPID across slices, sleeps and moves. Expected: time never runs back,
 * and TSC_AUX is the guest's own. */
#include "tests/hostile/hostile.h"

#define MSR_TSC_AUX 0xc0000103u

CASE(a16)
{
    uint64_t last = rdtsc();

    expect(last < 100 * tsc_hz(), "a TSC that does not start at the guest's start: %lu", last);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t low, high, aux;
        if (i % 1000 == 0)
            sleep_ms(1);
        else if (i % 50 == 0)
            atoll_yield();
        uint64_t now = rdtsc();
        expect(now >= last, "the TSC runs back by %lu", last - now);
        last = now;
        if (!cpu_has(CPUID_RDTSCP) || i % 100)
            continue;
        wrmsr(MSR_TSC_AUX, i);
        atoll_yield();
        __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
        expect(aux == i, "TSC_AUX is %u, not %u", aux, i);
        now = (uint64_t)high << 32 | low;
        expect(now >= last, "RDTSCP runs back");
        last = now;
    }
}
