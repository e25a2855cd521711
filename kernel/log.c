/* SPDX-License-Identifier: MIT */
/* The log ring. Writers copy one finished line under a short lock; the sink takes bytes when its
 * owner has time. The ring never waits: a line that does not fit is counted and reported later. */
#include "kernel/log.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"

#define RING_SIZE   (256 * KIB) /* a power of two: positions wrap by masking */
#define LINE_BUFFER (LOG_LINE_MAX + 16)
#define RESERVE     (RING_SIZE / 4) /* for the hypervisor's own lines, safe from guests */

static char ring[RING_SIZE];
static uint64_t head, tail; /* bytes ever written, bytes ever drained */
static uint64_t lost;       /* lines that found the ring full, not yet reported */
static struct spinlock lock;
static struct spinlock drain_lock;
static const struct log_sink *sink;
static uint64_t clock_hz, clock_start;
static bool panicking;

/* The block that is being put together, and the core that does so. */
#define NO_CORE UINT32_MAX
static char block[LOG_BLOCK_MAX];
static size_t block_used;
static uint32_t block_lines;
static uint32_t block_core = NO_CORE;
static struct spinlock block_lock;

void log_set_sink(const struct log_sink *new_sink)
{
    sink = new_sink;
}

void log_set_clock(uint64_t tsc_hz, uint64_t tsc_at_boot)
{
    clock_start = tsc_at_boot;
    clock_hz = tsc_hz;
}

static int format_time(char *text, size_t size)
{
    uint64_t ticks = clock_hz ? rdtsc() - clock_start : 0;
    uint64_t hz = clock_hz ? clock_hz : 1;
    uint64_t microseconds = ticks % hz * 1000000 / hz; /* below 2^64 for any hz below 18 THz */
    return snprintf(text, size, "[%5llu.%06llu] ", (unsigned long long)(ticks / hz),
                    (unsigned long long)microseconds);
}

static size_t ring_room(void)
{
    return RING_SIZE - (size_t)(head - tail);
}

static void ring_put(const char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t offset = (head + done) & (RING_SIZE - 1);
        size_t part = MIN(size - done, RING_SIZE - offset);
        memcpy(ring + offset, bytes + done, part);
        done += part;
    }
    __atomic_store_n(&head, head + size, __ATOMIC_RELEASE);
}

/* A line of the hypervisor that tells how many did not fit. There is room for it. */
static void report_lost(void)
{
    char line[LINE_BUFFER];
    int size = format_time(line, sizeof line);
    size += snprintf(line + size, sizeof line - (size_t)size,
                     "cpu%u atoll: log: %llu lines lost, the ring was full\r\n", cpu_index(),
                     (unsigned long long)lost);
    lost = 0;
    ring_put(line, (size_t)size);
}

static void write_through(const char *bytes, size_t size)
{
    while (size > 0 && sink) {
        size_t taken = sink->put(bytes, size);
        bytes += taken;
        size -= taken;
        if (taken == 0)
            sink->flush();
    }
}

/* All of it or nothing: `bytes` are `lines` whole lines, and `reserve` bytes must stay free. */
static void write_ring(const char *bytes, size_t size, uint32_t lines, size_t reserve)
{
    spin_lock(&lock);
    if (lost && ring_room() >= size + reserve + LINE_BUFFER)
        report_lost();
    if (ring_room() >= size + reserve)
        ring_put(bytes, size);
    else
        lost += lines;
    spin_unlock(&lock);
}

/* `line` is whole: prefix, text and line end. */
static void write_line(const char *line, size_t size, size_t reserve)
{
    if (panicking) {
        write_through(line, size);
    } else if (block_core == cpu_index() && block_used + size <= sizeof block) {
        memcpy(block + block_used, line, size);
        block_used += size;
        block_lines++;
    } else {
        write_ring(line, size, 1, reserve);
    }
}

void log_block_begin(void)
{
    if (spin_trylock(&block_lock))
        block_core = cpu_index();
}

void log_block_end(void)
{
    if (block_core != cpu_index())
        return;
    block_core = NO_CORE;
    write_ring(block, block_used, block_lines, 0);
    block_used = 0;
    block_lines = 0;
    spin_unlock(&block_lock);
}

static size_t finish_line(char *line, size_t size, size_t length)
{
    if (length > size - 3)
        length = size - 3;
    line[length++] = '\r';
    line[length++] = '\n';
    return length;
}

void log_line(const char *subject, const char *format, ...)
{
    va_list args;
    char line[LINE_BUFFER];
    size_t length = (size_t)format_time(line, sizeof line);
    length +=
        (size_t)snprintf(line + length, sizeof line - length, "cpu%u %s: ", cpu_index(), subject);
    va_start(args, format);
    int text = vsnprintf(line + length, sizeof line - length, format, args);
    va_end(args);
    if (text > 0)
        length += (size_t)text;
    write_line(line, finish_line(line, sizeof line, length), 0);
}

void log_console_line(const char *guest, const char *text, size_t length)
{
    char line[LINE_BUFFER];
    size_t used = (size_t)format_time(line, sizeof line);
    used += (size_t)snprintf(line + used, sizeof line - used, "%s| ", guest);
    for (size_t i = 0; i < length && used + 8 < sizeof line; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c <= 0x7e)
            line[used++] = (char)c;
        else
            used += (size_t)snprintf(line + used, sizeof line - used, "\\x%02x", c);
    }
    write_line(line, finish_line(line, sizeof line, used), RESERVE);
}

bool log_drain(void)
{
    if (!sink)
        return true;
    if (!spin_trylock(&drain_lock))
        return false; /* another core is at it */
    uint64_t end = __atomic_load_n(&head, __ATOMIC_ACQUIRE);
    while (tail != end) {
        size_t offset = tail & (RING_SIZE - 1);
        size_t part = MIN((size_t)(end - tail), RING_SIZE - offset);
        size_t taken = sink->put(ring + offset, part);
        /* release: a writer that sees the room may overwrite what has been read */
        __atomic_store_n(&tail, tail + taken, __ATOMIC_RELEASE);
        if (taken == 0)
            break;
    }
    bool empty = tail == end;
    spin_unlock(&drain_lock);
    return empty;
}

void log_flush(void)
{
    if (!sink)
        return;
    while (!panicking && !log_drain())
        sink->flush(); /* bounded: a line that is stuck is given up */
    sink->flush();
}

void log_panic_mode(void)
{
    panicking = true;
    if (!sink)
        return;
    while (tail != head) { /* without the drain lock: its holder may be stopped */
        size_t offset = tail & (RING_SIZE - 1);
        size_t taken = sink->put(ring + offset, MIN((size_t)(head - tail), RING_SIZE - offset));
        tail += taken;
        if (taken == 0)
            sink->flush();
    }
    write_through(block, block_used);
}
