/* SPDX-License-Identifier: MIT */
/* For guests that test: one line for each expectation, and the status they end with. The header of
 * an SDK comes first. */
#ifndef TESTS_GUESTS_CHECK_H
#define TESTS_GUESTS_CHECK_H

#include <stdarg.h>

#define WAIT_US 20000 /* the longest that anything may take that is to happen soon */

static unsigned checks_made, checks_failed;

__attribute__((format(printf, 2, 3))) static inline void check(bool good, const char *format, ...)
{
    char text[160];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    checks_made++;
    checks_failed += !good;
    printf("%s: %s\n", good ? "ok" : "FAILURE", text);
}

/* Waits until *counter has reached `value`; returns what it is then. */
static inline unsigned wait_for(volatile unsigned *counter, unsigned value)
{
    uint64_t end = now_ns() + WAIT_US * 1000;

    while (*counter < value && now_ns() < end)
        cpu_pause();
    return *counter;
}

/* The last line, and the exit status. */
static inline int checks_done(const char *name)
{
    printf("%s: %u of %u checks as expected\n", name, checks_made - checks_failed, checks_made);
    return checks_failed > 0;
}

#endif
