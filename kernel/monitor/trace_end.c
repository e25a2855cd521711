/* SPDX-License-Identifier: MIT */
/* The dump of the trace when the machine ends: to a serial port of its own, or as lines on the
 * log's. */
#include "kernel/monitor/trace_end.h"

#include "drivers/serial/uart16550.h"
#include "kernel/log.h"
#include "kernel/monitor/terminal.h"
#include "kernel/vm/trace_frame.h"

static struct uart port;

static size_t put(const char *bytes, size_t size)
{
    return uart_put(&port, bytes, size);
}

static void dump_to_port(const struct options *options)
{
    struct trace_dump dump = {0};
    if (uart_init(&port, options->trace_port, options->com_baud)) {
        log_info("option trace: no UART answers at 0x%x", options->trace_port);
        return;
    }
    while (!trace_dump_to(&dump, put))
        uart_flush(&port); /* bounded: a line that is stuck takes and drops the rest */
    uart_flush(&port);
}

static void dump_lines(void)
{
    struct trace_frame frame = {0};
    char line[TRACE_FRAME_LINE];
    for (size_t size; (size = trace_frame_line(&frame, line));) {
        if (terminal_room() < 2 * TRACE_FRAME_LINE)
            log_flush();
        terminal_write(NULL, line, size);
        terminal_write(NULL, "\n", 1);
    }
}

void trace_dump_at_end(const struct options *options)
{
    if (options->trace == TRACE_OFF)
        return;
    struct trace_figures figures = trace_figures();
    log_info("trace: %llu events, %llu were overwritten", (unsigned long long)figures.events,
             (unsigned long long)figures.overwritten);
    log_flush();
    if (options->trace == TRACE_PORT && options->trace_port != options->com_port)
        dump_to_port(options);
    else
        dump_lines();
}
