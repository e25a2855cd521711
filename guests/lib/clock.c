/* SPDX-License-Identifier: MIT */
/* The guest's clock: the TSC at a frequency that clock_start was told, and the calendar. */
#include "guests/lib/time.h"

#include "guests/lib/cpu.h"

#define NS_PER_SECOND 1000000000ull

static uint64_t frequency;
static uint64_t ns_per_tick_32; /* 32 fraction bits */

void clock_start(uint64_t hz)
{
    frequency = hz;
    ns_per_tick_32 = (NS_PER_SECOND << 32) / hz;
}

uint64_t tsc_hz(void)
{
    return frequency;
}

uint64_t now_ns(void)
{
    return (uint64_t)((unsigned __int128)rdtsc() * ns_per_tick_32 >> 32);
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
