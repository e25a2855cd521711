/* SPDX-License-Identifier: MIT */
/* A16: RDTSC, RDTSCP and RDPID across slices, sleeps and moves. Expected: time never runs back, and
 * TSC_AUX is the guest's own; RDPID is #UD where CPUID has none. In the next life the TSC begins
 * anew: it does not say how long the machine has run. */
#include "tests/hostile/hostile.h"

#define MSR_TSC_AUX 0xc0000103u
#define CPUID_RDPID ((struct cpuid_feature){0x7, 0, 2, 22})

#define LIFE_MS     400

static bool is_second_life(void)
{
    struct atoll_vm_info info;
    struct atoll_vm_state state;

    atoll_vm_info(&info);
    expect(atoll_vm_state(info.vm, &state) == sizeof(state), "no state");
    return state.starts > 1;
}

CASE(a16)
{
    uint64_t last = rdtsc();
    bool has_rdpid = cpu_has(CPUID_RDPID);

    if (is_second_life()) {
        expect(last < tsc_hz() / 1000 * LIFE_MS, "the TSC starts at %lu", last);
        return;
    }
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
        uint64_t id = i;
        expect_vector(ATTEMPT("rdpid %0", : "+r"(id)), has_rdpid ? NO_EXCEPTION : VECTOR_UD,
                      "RDPID");
        expect(id == i, "RDPID is %lu, not %u", id, i);
        now = (uint64_t)high << 32 | low;
        expect(now >= last, "RDTSCP runs back");
        last = now;
    }
    sleep_ms(LIFE_MS);
    expect(rdtsc() > tsc_hz() / 1000 * LIFE_MS, "a TSC that does not count");
    guest_exit(1);
}
