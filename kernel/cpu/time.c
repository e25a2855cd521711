/* SPDX-License-Identifier: MIT */
/* The TSC against the machine's other clocks, and the RTC. Every wait has an end: a clock that
 * stands still is passed over. */
#include "kernel/cpu/time.h"

#include "kernel/lib/x86.h"

#define PM_TIMER_HZ   3579545 /* ACPI 6.4, 4.8.2.1 */
#define PM_TIMER_MASK 0xffffffu /* 24 bits are always there */
#define PIT_HZ        1193182
#define MEASURE_MS    20
#define POLLS_MAX     10000000
#define NS_PER_S      1000000000ull
#define TICKS_MAX     BIT(63)

#define RTC_INDEX 0x70
#define RTC_DATA  0x71
#define RTC_UPDATE_IN_PROGRESS BIT(7) /* register A */
#define RTC_BINARY             BIT(2) /* register B */
#define RTC_24_HOURS           BIT(1)
#define RTC_PM                 BIT(7) /* hours, in 12-hour mode */

static uint64_t hz;
static uint64_t ticks_per_ns, ns_per_tick; /* 32.32 fixed point */
static uint64_t wall_base_ns, wall_base_tsc;

static uint64_t measure_pm_timer(uint16_t port)
{
    const uint32_t span = PM_TIMER_HZ / 1000 * MEASURE_MS;
    uint32_t first = inl(port) & PM_TIMER_MASK;
    uint32_t start = first;
    for (uint32_t i = 0; start == first; i++) { /* from an edge on */
        if (i == POLLS_MAX / 100)
            return 0;
        start = inl(port) & PM_TIMER_MASK;
    }
    uint64_t tsc = rdtsc();
    uint32_t passed = 0;
    for (uint32_t i = 0; passed < span; i++) {
        if (i == POLLS_MAX)
            return 0;
        passed = (inl(port) - start) & PM_TIMER_MASK;
    }
    return (rdtsc() - tsc) * PM_TIMER_HZ / passed;
}

/* Channel 2 of the 8254 in mode 0: its output (port 0x61 bit 5) rises after the count. */
static uint64_t measure_pit(void)
{
    const uint32_t count = PIT_HZ / 1000 * MEASURE_MS;
    outb(0x61, (uint8_t)((inb(0x61) & ~2u) | 1)); /* gate on, speaker off */
    outb(0x43, 0xb0);
    outb(0x42, (uint8_t)count);
    outb(0x42, (uint8_t)(count >> 8));
    uint64_t tsc = rdtsc();
    if (inb(0x61) & 0x20)
        return 0; /* high already: nothing counts here */
    for (uint32_t i = 0; !(inb(0x61) & 0x20); i++)
        if (i == POLLS_MAX)
            return 0;
    return (rdtsc() - tsc) * PIT_HZ / count;
}

static uint64_t from_cpuid(void)
{
    if (cpuid(0, 0).eax < 0x15)
        return 0;
    struct cpuid leaf = cpuid(0x15, 0);
    return leaf.eax && leaf.ebx ? (uint64_t)leaf.ecx * leaf.ebx / leaf.eax : 0;
}

static const char *find_hz(uint64_t tsc_hz, uint32_t pm_timer_port)
{
    hz = tsc_hz;
    if (hz)
        return "as the option tsc= says";
    if (pm_timer_port && pm_timer_port <= UINT16_MAX)
        hz = measure_pm_timer((uint16_t)pm_timer_port);
    if (hz)
        return "measured against the ACPI PM timer";
    hz = measure_pit();
    if (hz)
        return "measured against the 8254";
    hz = from_cpuid();
    return hz ? "from CPUID 0x15" : NULL;
}

const char *time_init(uint64_t tsc_hz, uint32_t pm_timer_port)
{
    const char *how = find_hz(tsc_hz, pm_timer_port);
    if (!how)
        return NULL;
    ticks_per_ns = (hz / NS_PER_S << 32) + ((hz % NS_PER_S) << 32) / NS_PER_S;
    ns_per_tick = hz < BIT(32) ? (NS_PER_S << 32) / hz : (NS_PER_S << 30) / (hz >> 2);
    return how;
}

uint64_t time_tsc_hz(void)
{
    return hz;
}

uint32_t time_tsc_per_crystal(void)
{
    return (uint32_t)(hz >> 32) + 1;
}

static uint64_t scale(uint64_t value, uint64_t factor)
{
    unsigned __int128 product = (unsigned __int128)value * factor >> 32;
    return product > TICKS_MAX ? TICKS_MAX : (uint64_t)product;
}

uint64_t time_ns_to_ticks(uint64_t nanoseconds)
{
    return scale(nanoseconds, ticks_per_ns);
}

uint64_t time_us_to_ticks(uint64_t microseconds)
{
    return microseconds > TICKS_MAX / 1000 ? TICKS_MAX : time_ns_to_ticks(microseconds * 1000);
}

uint64_t time_ticks_to_ns(uint64_t ticks)
{
    return scale(ticks, ns_per_tick);
}

void time_delay_us(uint32_t microseconds)
{
    uint64_t start = rdtsc();
    uint64_t ticks = time_us_to_ticks(microseconds);
    while (rdtsc() - start < ticks)
        cpu_pause();
}

static uint8_t rtc(uint8_t index)
{
    outb(RTC_INDEX, index);
    return inb(RTC_DATA);
}

static unsigned from_bcd(unsigned value)
{
    return (value >> 4) * 10 + (value & 0xf);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static uint64_t days_since_epoch(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    unsigned leap_years = (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 - 477;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return (uint64_t)(year - 1970) * 365 + leap_years + before[month - 1] + (leap && month > 2) +
           day - 1;
}

struct rtc_time {
    uint8_t second, minute, hour, day, month, year;
};

static struct rtc_time rtc_sample(void)
{
    struct rtc_time t = {rtc(0), rtc(2), rtc(4), rtc(7), rtc(8), rtc(9)};
    return t;
}

/* Two equal samples outside an update. */
static bool rtc_stable(struct rtc_time *time)
{
    for (uint32_t i = 0; i < POLLS_MAX / 10; i++) {
        if (rtc(0xa) & RTC_UPDATE_IN_PROGRESS)
            continue;
        *time = rtc_sample();
        struct rtc_time again = rtc_sample();
        if (!__builtin_memcmp(time, &again, sizeof again))
            return true;
    }
    return false;
}

bool time_read_rtc(void)
{
    struct rtc_time t;
    if (!rtc_stable(&t))
        return false;
    uint64_t tsc = rdtsc();
    uint8_t format = rtc(0xb);
    bool bcd = !(format & RTC_BINARY);
    bool afternoon = !(format & RTC_24_HOURS) && (t.hour & RTC_PM);
    unsigned hour = t.hour & (format & RTC_24_HOURS ? 0xff : 0x7f);
    unsigned fields[] = {t.second, t.minute, hour, t.day, t.month, t.year};
    for (unsigned i = 0; bcd && i < ARRAY_SIZE(fields); i++)
        fields[i] = from_bcd(fields[i]);
    hour = fields[2];
    if (!(format & RTC_24_HOURS))
        hour = hour % 12 + (afternoon ? 12 : 0);
    unsigned year = 2000 + fields[5]; /* Atoll was not there before */
    if (fields[0] > 59 || fields[1] > 59 || hour > 23 || fields[3] < 1 || fields[3] > 31 ||
        fields[4] < 1 || fields[4] > 12 || fields[5] > 99)
        return false;
    uint64_t seconds = days_since_epoch(year, fields[4], fields[3]) * 86400 + hour * 3600 +
                       fields[1] * 60 + fields[0];
    wall_base_tsc = tsc;
    wall_base_ns = seconds * NS_PER_S;
    return true;
}

uint64_t time_wall_clock_ns(void)
{
    return wall_base_ns ? wall_base_ns + time_ticks_to_ns(rdtsc() - wall_base_tsc) : 0;
}
