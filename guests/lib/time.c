/* SPDX-License-Identifier: MIT */
/* The TSC's frequency, from CPUID leaf 0x15 (crystal * EBX / EAX) and, where the leaf says nothing,
 * from the hypervisor; and sleep. */
#include "guests/lib/guest.h"

#define CPUID_TSC_LEAF  0x15u
#define TSC_HZ_FALLBACK 1000000000ull

static uint64_t frequency_by_cpuid(void)
{
    if (cpuid(0, 0).eax < CPUID_TSC_LEAF)
        return 0;
    struct cpuid r = cpuid(CPUID_TSC_LEAF, 0);
    if (r.eax == 0)
        return 0;
    return (uint64_t)r.ecx * r.ebx / r.eax;
}

void time_init(void)
{
    struct atoll_vm_info info = {0};
    uint64_t frequency = frequency_by_cpuid();

    if (frequency == 0 && atoll_vm_info(&info) > 0)
        frequency = info.tsc_hz;
    clock_start(frequency ? frequency : TSC_HZ_FALLBACK);
}

/* An interrupt ends the call, not the sleep. */
void sleep_ms(uint64_t ms)
{
    uint64_t end = rdtsc() + ms * (tsc_hz() / 1000);

    while (rdtsc() < end)
        atoll_sleep_until(end);
}
