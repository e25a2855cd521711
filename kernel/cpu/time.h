/* SPDX-License-Identifier: MIT */
/* Time: the TSC's frequency, conversions between its ticks and seconds, bounded delays, and the
 * time of day from the real-time clock at boot. */
#ifndef KERNEL_CPU_TIME_H
#define KERNEL_CPU_TIME_H

#include "kernel/lib/types.h"

/* Finds the TSC's frequency: `tsc_hz` if it is not 0, else measured against the ACPI PM timer at
 * `pm_timer_port` (0: none), else against the 8254 channel 2, else from CPUID 0x15. Returns a
 * phrase that says how, for the log; NULL when nothing worked. */
const char *time_init(uint64_t tsc_hz, uint32_t pm_timer_port);

uint64_t time_tsc_hz(void);

/* TSC ticks for one of the crystal clock that guests are told (CPUID 0x15): so that its frequency
 * has 32 bits. */
uint32_t time_tsc_per_crystal(void);
uint64_t time_us_to_ticks(uint64_t microseconds); /* saturates at 2^63 */
uint64_t time_ns_to_ticks(uint64_t nanoseconds);  /* saturates at 2^63 */
uint64_t time_ticks_to_ns(uint64_t ticks);
void time_delay_us(uint32_t microseconds);

/* Reads the real-time clock (MC146818): once, at boot. Returns false when it does not answer. */
bool time_read_rtc(void);

/* Nanoseconds since 1970-01-01 00:00 UTC; 0 when the clock could not be read. */
uint64_t time_wall_clock_ns(void);

#endif
