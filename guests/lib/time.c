/* SPDX-License-Identifier: MIT */
/* The guest's clock. The TSC's frequency comes from CPUID leaf 0x15 (crystal * EBX / EAX) and,
 * where the leaf says nothing, from the hypervisor. */
#include "guests/lib/guest.h"

#define CPUID_TSC_LEAF  0x15u
#define NS_PER_SECOND   1000000000ull
#define TSC_HZ_FALLBACK NS_PER_SECOND

static uint64_t frequency;
static uint64_t ns_per_tick_32; /* 32 fraction bits */

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

    frequency = frequency_by_cpuid();
    if (frequency == 0 && atoll_vm_info(&info) > 0)
        frequency = info.tsc_hz;
    if (frequency == 0)
        frequency = TSC_HZ_FALLBACK;
    ns_per_tick_32 = (NS_PER_SECOND << 32) / frequency;
}

uint64_t tsc_hz(void)
{
    return frequency;
}

uint64_t now_ns(void)
{
    return (uint64_t)((unsigned __int128)rdtsc() * ns_per_tick_32 >> 32);
}

void sleep_ms(uint64_t ms)
{
    atoll_sleep_for(ms * 1000000);
}

void spin_us(uint64_t us)
{
    uint64_t end = now_ns() + us * 1000;

    while (now_ns() < end)
        ; /* no PAUSE: it would give the slice away (PAUSE-loop exiting) */
}

/* The Gregorian calendar counted in eras of 400 years, each year beginning on 1 March, so that the
 * leap day is a year's last. */
struct date_time date_time_utc(uint64_t seconds)
{
    uint64_t days = seconds / 86400 + 719468; /* since 0000-03-01 */
    unsigned in_day = (unsigned)(seconds % 86400);
    unsigned in_era = (unsigned)(days % 146097);
    unsigned year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * in_year + 2) / 153;
    unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

    return (struct date_time){
        .year = (unsigned)(days / 146097) * 400 + year_of_era + (month <= 2),
        .month = month,
        .day = in_year - (153 * month_from_march + 2) / 5 + 1,
        .hour = in_day / 3600,
        .minute = in_day / 60 % 60,
        .second = in_day % 60,
    };
}
