/* SPDX-License-Identifier: MIT */
/* The log: whole lines in a ring, drained to the serial port by whoever has time for it. A line is
 *
 *     [    1.234567] cpu1 ring-a.0: exit 10 CPUID ...     of the hypervisor, about its subject
 *     [    1.234567] ring-a| hello                        of a guest's console
 *
 * A guest's text stands behind "name| " and has its control bytes escaped: it cannot forge a line
 * of the hypervisor. A full ring loses whole lines and counts them, a guest's sooner than the
 * hypervisor's own; writing never waits. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/lib/types.h"

/* Where the bytes of the log go. `put` takes up to `size` bytes and returns how many it took
 * without waiting; `flush` waits until all that was taken has left the machine. */
struct log_sink {
    size_t (*put)(const char *bytes, size_t size);
    void (*flush)(void);
};

void log_set_sink(const struct log_sink *sink);

/* The frequency that turns TSC ticks into the log's seconds, and the tick that is time 0. Before
 * this call the time is printed as 0. */
void log_set_clock(uint64_t tsc_hz, uint64_t tsc_at_boot);

/* A line about `subject` ("atoll", a VM, a vCPU). The format is that of snprintf in
 * kernel/lib/format.c; a line longer than LOG_LINE_MAX is cut. */
#define LOG_LINE_MAX 240
void log_line(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line about the hypervisor itself. */
#define log_info(...) log_line("atoll", __VA_ARGS__)

/* Lines of this core between these two calls appear together, no other line between them (unless
 * another core has a block open already: nobody waits). At most LOG_BLOCK_MAX bytes. */
#define LOG_BLOCK_MAX 8192
void log_block_begin(void);
void log_block_end(void);

/* One line of a guest's console, without its newline. Control bytes and bytes above 0x7e are
 * written as \xNN. */
void log_console_line(const char *guest, const char *text, size_t length);

/* Moves bytes from the ring to the sink as long as it takes them; never waits. Called from the
 * idle loop and at the end of a time slice, by any core. Returns true when the ring is empty. */
bool log_drain(void);

/* Empties the ring and waits for the last bit on the line. For power-off and panic only. */
void log_flush(void);

/* From here on every line is written and flushed at once. For panic only: takes no lock. */
void log_panic_mode(void);

#endif
