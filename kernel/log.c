/* SPDX-License-Identifier: MIT */
/* The log ring. Writers copy one finished line under a short lock. The terminal takes lines at its
 * pace; others read behind it, and may come too late. The ring never waits: a line that does not
 * fit is counted and reported later. */
#include "kernel/lib/hot_path.h"

#include "kernel/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/lib/escape.h"
#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"

#define FIRST_RING     (32 * KIB) /* a power of two, as every size: positions wrap by masking */
#define RESERVE_PART   4          /* of the ring: the hypervisor's own lines, safe from guests */

static char first_ring[FIRST_RING];
static char *ring = first_ring;
static size_t ring_size = FIRST_RING;
static uint64_t head, tail; /* bytes ever written, bytes that the terminal has taken */
static uint64_t waiting;    /* lines between the two */
static uint64_t lost;       /* lines that found the ring full, not yet reported */
static struct spinlock lock; /* of all the above */
static struct spinlock drain_lock;
static const struct log_sink *sinks[LOG_SINKS_MAX];
static uint64_t clock_hz, clock_start;
static bool panicking;
static _Atomic bool anything = true; /* may be left to show: else draining costs next to nothing */

/* The block that is being put together, and the core that does so. */
#define NO_CORE UINT32_MAX
static char block[LOG_BLOCK_MAX];
static size_t block_used;
static uint32_t block_lines;
static uint32_t block_core = NO_CORE;
static struct spinlock block_lock;

void log_add_sink(const struct log_sink *sink)
{
    for (unsigned i = 0; i < LOG_SINKS_MAX; i++) {
        if (sinks[i])
            continue;
        sinks[i] = sink;
        return;
    }
}

void log_set_clock(uint64_t tsc_hz, uint64_t tsc_at_boot)
{
    clock_start = tsc_at_boot;
    clock_hz = tsc_hz;
}

/* Since boot: seconds, and the microseconds of the next one. */
static uint64_t read_time(uint32_t *us)
{
    *us = 0;
    if (clock_hz == 0)
        return 0;
    uint64_t ticks = rdtsc() - clock_start;
    *us = (uint32_t)(ticks % clock_hz * 1000000 / clock_hz); /* for any below 18 THz */
    return ticks / clock_hz;
}

uint64_t log_time_us(void)
{
    uint32_t us;
    uint64_t seconds = read_time(&us);
    return seconds * 1000000 + us;
}

/* "[%5llu.%06llu] ", by hand, since a stamp is on every line that a guest writes. Returns its size.
 */
static size_t format_time(char *text)
{
    enum { FRACTION = 6, WIDTH = 5 };
    uint32_t us;
    uint64_t seconds = read_time(&us);
    size_t width = WIDTH;
    for (uint64_t limit = 100000; seconds >= limit; limit *= 10)
        width++;
    __builtin_memcpy(text, "[     ", 1 + WIDTH);
    char *digits = text + 1, *at = digits + width;
    do {
        *--at = (char)('0' + seconds % 10);
        seconds /= 10;
    } while (seconds);
    text = digits + width;
    *text++ = '.';
    /* The first digit is the integer part, and the rest 32 bits of fraction: rounded up, it is right
     * to the sixth. */
    uint64_t rest = ((uint64_t)us << 32) / 100000 + 1;
    for (unsigned i = 0; i < FRACTION; i++, rest = (rest & UINT32_MAX) * 10)
        *text++ = (char)('0' + (rest >> 32));
    *text++ = ']';
    *text = ' ';
    return 1 + width + 1 + FRACTION + 2;
}

/* ---- The ring: all of this with its lock ----------------------------------------------------- */

static size_t ring_room(void)
{
    return ring_size - (size_t)(head - tail);
}

static void ring_put(const char *bytes, size_t size, uint32_t lines)
{
    size_t offset = head & (ring_size - 1), first = MIN(size, ring_size - offset);
    memcpy(ring + offset, bytes, first);
    if (first < size)
        memcpy(ring, bytes + first, size - first);
    head += size;
    waiting += lines;
}

static char ring_at(uint64_t position)
{
    return ring[position & (ring_size - 1)];
}

/* The oldest byte that was not overwritten. */
static uint64_t ring_start(void)
{
    return head > ring_size ? head - ring_size : 0;
}

/* The line at `position`, and the position behind it. Lines in the ring are whole. */
static size_t ring_line(uint64_t *position, char line[LOG_BUFFER])
{
    size_t size = 0;
    const char *newline = NULL;
    while (!newline && *position != head && size < LOG_BUFFER) { /* twice, over the ring's end */
        size_t offset = *position & (ring_size - 1), left = (size_t)(head - *position);
        size_t part = MIN(MIN(left, ring_size - offset), LOG_BUFFER - size);
        newline = memchr(ring + offset, '\n', part);
        if (newline)
            part = (size_t)(newline + 1 - (ring + offset));
        memcpy(line + size, ring + offset, part);
        size += part;
        *position += part;
    }
    return size;
}

/* A line of the hypervisor that tells how many did not fit. There is room for it. */
static __attribute__((noinline)) void report_lost(void)
{
    char line[LOG_BUFFER];
    int size = (int)format_time(line);
    size += snprintf(line + size, sizeof line - (size_t)size,
                     "cpu%u atoll: log: %llu lines lost, the ring was full\r\n", cpu_index(),
                     (unsigned long long)lost);
    lost = 0;
    ring_put(line, (size_t)size, 1);
}

void log_use_ring(char *memory, size_t size)
{
    spin_lock(&lock);
    uint64_t start = ring_start();
    for (uint64_t position = start; position != head; position++)
        memory[position & (size - 1)] = ring_at(position);
    ring = memory;
    ring_size = size;
    spin_unlock(&lock);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void show_at_once(const char *bytes, size_t size)
{
    for (unsigned i = 0; i < LOG_SINKS_MAX && sinks[i]; i++)
        sinks[i]->panic(bytes, size);
}

void log_has_work(void)
{
    /* release: who drains sees what there is */
    atomic_store_explicit(&anything, true, memory_order_release);
}

/* All of it or nothing: `bytes` are `lines` whole lines. */
static void write_ring(const char *bytes, size_t size, uint32_t lines, bool of_guest)
{
    spin_lock(&lock);
    size_t reserve = of_guest ? ring_size / RESERVE_PART : 0;
    if (lost && ring_room() >= size + reserve + LOG_BUFFER)
        report_lost();
    if (ring_room() >= size + reserve)
        ring_put(bytes, size, lines);
    else
        lost += lines;
    spin_unlock(&lock);
    log_has_work();
}

/* `line` is whole: prefix, text and line end. */
static void write_line(const char *line, size_t size, bool of_guest)
{
    if (panicking) {
        show_at_once(line, size);
    } else if (block_core == cpu_index() && block_used + size <= sizeof block) {
        memcpy(block + block_used, line, size);
        block_used += size;
        block_lines++;
    } else {
        write_ring(line, size, 1, of_guest);
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
    write_ring(block, block_used, block_lines, false);
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
    char line[LOG_BUFFER];
    size_t length = format_time(line);
    length +=
        (size_t)snprintf(line + length, sizeof line - length, "cpu%u %s: ", cpu_index(), subject);
    va_start(args, format);
    int text = vsnprintf(line + length, sizeof line - length, format, args);
    va_end(args);
    if (text > 0)
        length += (size_t)text;
    write_line(line, finish_line(line, sizeof line, length), false);
}

void log_console_line(const char *guest, const char *text, size_t length)
{
    char line[LOG_BUFFER];
    size_t used = format_time(line), name = strnlen(guest, LOG_LINE_MAX / 2);
    memcpy(line + used, guest, name);
    used += name;
    line[used++] = '|';
    line[used++] = ' ';
    used += escape_text(line + used, sizeof line - 2 - used, text, length);
    write_line(line, finish_line(line, sizeof line, used), true);
}

/* ---- Reading --------------------------------------------------------------------------------- */

size_t log_take(char line[LOG_BUFFER])
{
    spin_lock(&lock);
    size_t size = ring_line(&tail, line);
    waiting -= size > 0;
    spin_unlock(&lock);
    return size;
}

uint64_t log_pass_over(void)
{
    spin_lock(&lock);
    uint64_t lines = waiting;
    waiting = 0;
    tail = head;
    spin_unlock(&lock);
    return lines;
}

size_t log_read(struct log_reader *reader, char line[LOG_BUFFER])
{
    spin_lock(&lock);
    uint64_t start = ring_start();
    if (reader->position < start) {
        reader->missed += start - reader->position;
        reader->position = start;
        if (start > 0) /* the rest of a line of which the beginning is gone */
            (void)ring_line(&reader->position, line);
    }
    size_t size = ring_line(&reader->position, line);
    spin_unlock(&lock);
    return size;
}

void log_reader_end(struct log_reader *reader)
{
    spin_lock(&lock);
    reader->position = head;
    spin_unlock(&lock);
}

bool log_reader_previous(struct log_reader *reader)
{
    spin_lock(&lock);
    uint64_t position = reader->position, start = ring_start();
    if (position > start) /* the end of the line before */
        position--;
    while (position > start && ring_at(position - 1) != '\n')
        position--;
    bool whole = position > start || start == 0; /* what lies before it may belong to it */
    bool moved = whole && position < reader->position;
    if (moved)
        reader->position = position;
    spin_unlock(&lock);
    return moved;
}

void log_reader_back(struct log_reader *reader, uint64_t lines)
{
    log_reader_end(reader);
    while (lines > 0 && log_reader_previous(reader))
        lines--;
}

/* ---- Showing --------------------------------------------------------------------------------- */

bool log_drain(void)
{
    bool nothing_left = true;
    if (!atomic_load_explicit(&anything, memory_order_relaxed))
        return true;
    if (!spin_trylock(&drain_lock))
        return false; /* another core is at it */
    /* seq_cst: before the look; what is written behind it says so again */
    atomic_store(&anything, false);
    for (unsigned i = 0; i < LOG_SINKS_MAX && sinks[i]; i++)
        nothing_left = sinks[i]->drain() && nothing_left;
    if (!nothing_left)
        log_has_work();
    spin_unlock(&drain_lock);
    return nothing_left;
}

void log_flush(void)
{
    if (panicking)
        return; /* all is shown */
    while (!log_drain()) /* bounded: a line that is stuck is given up */
        for (unsigned i = 0; i < LOG_SINKS_MAX && sinks[i]; i++)
            sinks[i]->flush();
    for (unsigned i = 0; i < LOG_SINKS_MAX && sinks[i]; i++)
        sinks[i]->flush();
}

void log_panic_mode(void)
{
    char line[LOG_BUFFER];
    panicking = true;
    for (size_t size; (size = ring_line(&tail, line));) /* without the lock: who has it may be
                                                           stopped */
        show_at_once(line, size);
    show_at_once(block, block_used);
}
