/* SPDX-License-Identifier: MIT */
/* Time of a guest: the TSC at the frequency that CPUID leaf 0x15 states (SDM Vol. 3B 18.7.3), and
 * the time of day by call. */
#ifndef GUESTS_LIB_TIME_H
#define GUESTS_LIB_TIME_H

#include <stdint.h>

struct date_time {
    unsigned year, month, day; /* month and day from 1 */
    unsigned hour, minute, second;
};

uint64_t tsc_hz(void);

/* Nanoseconds since the TSC was 0. */
uint64_t now_ns(void);

/* Gives the core away for that long. */
void sleep_ms(uint64_t ms);

/* Keeps the core busy for that long. */
void spin_us(uint64_t us);

/* UTC of a number of seconds since 1970-01-01 00:00. */
struct date_time date_time_utc(uint64_t seconds);

/* Once, before all else here: the TSC's frequency, in some way of the SDK's. */
void time_init(void);
void clock_start(uint64_t hz);

#endif
