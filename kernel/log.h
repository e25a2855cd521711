/* SPDX-License-Identifier: MIT */
/* The log: whole lines in a ring, written by all cores, read by those who show them. A line is
 *
 *     [    1.234567] cpu1 ring-a.0: exit 10 CPUID ...     of the hypervisor, about its subject
 *     [    1.234567] ring-a| hello                        of a guest's console
 *
 * A guest's text stands behind "name| " and has its control bytes escaped: it cannot forge a line
 * of the hypervisor. What the terminal has not yet taken is never overwritten: a full ring loses
 * whole new lines and counts them, a guest's sooner than the hypervisor's own; writing never waits.
 * What it has taken stays to be read again until the ring comes around. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/lib/types.h"

/* Who shows the log. The terminal's sink is the first; it alone takes lines (log_take). */
struct log_sink {
    bool (*drain)(void); /* shows what it can without waiting; true: nothing is left. Any core, one
                            at a time */
    void (*flush)(void); /* waits, for a bounded time, until all that it took is shown */
    void (*panic)(const char *bytes, size_t size); /* shows this at once; takes no lock */
};
#define LOG_SINKS_MAX 2
void log_add_sink(const struct log_sink *sink);

/* From the first memory on: a larger ring, of a power of two. What was written so far is kept. */
void log_use_ring(char *memory, size_t size);

/* The frequency that turns TSC ticks into the log's seconds, and the tick that is time 0. Before
 * this call the time is printed as 0. */
void log_set_clock(uint64_t tsc_hz, uint64_t tsc_at_boot);

/* The log's time now, in microseconds. */
uint64_t log_time_us(void);

/* A line about `subject` ("atoll", a VM, a vCPU). The format is that of snprintf in
 * kernel/lib/format.c; a line longer than LOG_LINE_MAX is cut. */
#define LOG_LINE_MAX 240
#define LOG_BUFFER   (LOG_LINE_MAX + 16) /* holds any line with its end "\r\n" */
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

/* ---- Reading */

/* For the terminal alone: the next line that was not yet taken, with its end "\r\n", into `line`.
 * Returns its length, 0 when there is none. */
size_t log_take(char line[LOG_BUFFER]);

/* Takes all that is there without showing it: returns how many lines. They can be read again. */
uint64_t log_pass_over(void);

/* A reader of its own pace. It starts wherever the functions below put it, zeroed at the oldest
 * line. It reads whole lines only: the rest of one that is overwritten in part could pass for
 * another's line. */
struct log_reader {
    uint64_t position;
    uint64_t missed; /* bytes that were overwritten before it came to them */
};
size_t log_read(struct log_reader *reader, char line[LOG_BUFFER]);

/* Puts a reader behind the last line that was written. */
void log_reader_end(struct log_reader *reader);

/* One line back; false: that one is gone, and the reader stays. */
bool log_reader_previous(struct log_reader *reader);

/* Puts a reader `lines` lines before the end of what was written, as far as that is still there.
 * Reads them all: for few lines. */
void log_reader_back(struct log_reader *reader, uint64_t lines);

/* ---- Showing */

/* Has the sinks show what they can without waiting. Called from the idle loop and at the end of a
 * time slice, by any core. Returns true when nothing is left. */
bool log_drain(void);

/* For sinks that show more than the log: there is something to drain. */
void log_has_work(void);

/* Shows everything, and waits for it. For power-off and panic only. */
void log_flush(void);

/* From here on every line is shown at once. For panic only: takes no lock. */
void log_panic_mode(void);

#endif
