/* SPDX-License-Identifier: MIT */
/* `trace`: switches it and dumps it, over a serial port of its own or as lines on this one. */
#include <linux/errno.h>
#include <string.h>

#include "drivers/serial/uart16550.h"
#include "kernel/monitor/command.h"
#include "kernel/monitor/monitor.h"
#include "kernel/vm/trace_frame.h"

#define FRAME_LINES 18 /* of a step */

_Static_assert(FRAME_LINES * TRACE_FRAME_LINE <= COMMAND_STEP_MAX, "a step writes no more");

/* One command runs at a time. */
static struct trace_frame frame;
static struct trace_dump dump;
static struct uart uart;

static const struct column figure_columns[] = {
    {"TRACE", "trace", -5},
    {"EVENTS", "events", 10},
    {"OVERWRITTEN", "overwritten", 12},
    {"BYTES", "bytes", 10}};

static enum command_result show_figures(struct invocation *call)
{
    struct trace_figures figures = trace_figures();
    output_header(&call->out, figure_columns, ARRAY_SIZE(figure_columns));
    row_begin(&call->out, figure_columns, ARRAY_SIZE(figure_columns));
    row_text(&call->out, figures.on ? "on" : "off");
    row_number(&call->out, figures.events);
    row_number(&call->out, figures.overwritten);
    row_number(&call->out, figures.bytes);
    row_end(&call->out);
    return COMMAND_DONE;
}

static enum command_result set(struct invocation *call, bool on)
{
    if (call->argc > 2)
        return command_fail(call, "trace %s: expected nothing behind it", call->argv[1]);
    int status = trace_set(on);
    if (status == -EBUSY)
        return command_fail(call, "trace on: a dump is under way");
    if (status)
        return command_fail(call, "trace on: there was no memory for it at boot");
    return show_figures(call);
}

/* ---- The dump -------------------------------------------------------------------------------- */

/* The dump begins with the first call for it; Ctrl-C gives it up. */
static enum command_result dump_lines(struct invocation *call)
{
    char line[TRACE_FRAME_LINE];
    if (call->at++ == 0)
        frame = (struct trace_frame){0};
    for (unsigned i = 0; i < FRAME_LINES; i++) {
        if (trace_frame_line(&frame, line) == 0)
            return COMMAND_DONE;
        output_text(&call->out, "%s\n", line);
    }
    return COMMAND_MORE;
}

static size_t put(const char *bytes, size_t size)
{
    return uart_put(&uart, bytes, size);
}

static enum command_result dump_bytes(struct invocation *call, uint16_t port)
{
    if (call->at++ == 0) {
        dump = (struct trace_dump){0};
        if (uart_init(&uart, port, monitor_options()->com_baud))
            return command_fail(call, "trace dump: no UART answers at 0x%x", port);
        output_text(&call->out, "dumping %llu bytes to the UART at 0x%x\n",
                    (unsigned long long)trace_figures().bytes, port);
    }
    return trace_dump_to(&dump, put) ? show_figures(call) : COMMAND_WAIT;
}

/* The port that a word names, 0: none of them. Without a word, that of trace=. */
static uint16_t dump_port(const struct invocation *call)
{
    const struct options *options = monitor_options();
    if (call->argc < 3)
        return options->trace_port ? options->trace_port : options->com_port;
    if (!strcmp(call->argv[2], "com1"))
        return 0x3f8;
    return strcmp(call->argv[2], "com2") ? 0 : 0x2f8;
}

static enum command_result dump_step(struct invocation *call)
{
    uint16_t port = dump_port(call);
    if (port == 0)
        return command_fail(call, "trace dump %s: expected com1 or com2", call->argv[2]);
    if (call->cancelled) {
        (void)trace_set(false);
        return COMMAND_DONE;
    }
    return port == monitor_options()->com_port ? dump_lines(call) : dump_bytes(call, port);
}

static enum command_result trace_step(struct invocation *call)
{
    const char *word = call->argc > 1 ? call->argv[1] : NULL;
    if (!word)
        return show_figures(call);
    if (!strcmp(word, "on") || !strcmp(word, "off"))
        return set(call, !strcmp(word, "on"));
    if (!strcmp(word, "dump") && call->json)
        return command_fail(call, "trace dump: expected no -j");
    if (!strcmp(word, "dump"))
        return dump_step(call);
    return command_fail(call, "trace %s: expected on, off or dump", word);
}

static const char *const trace_choices[] = {"com1", "com2", "dump", "off", "on", NULL};

const struct command command_trace = {
    .name = "trace",
    .usage = "[on|off|dump [PORT]]",
    .help = "records what happens on the cores",
    .more = "    trace                    how much there is\n"
            "    trace on                 from now on; the oldest is overwritten\n"
            "    trace off                what there is stays\n"
            "    trace dump               switches it off and writes it to the port of the\n"
            "                             option trace=, else here\n"
            "    trace dump com2          to that port; to this terminal's own, as lines\n"
            "docs/trace.md says what a dump is; `./atoll trace FILE` reads it.\n",
    .step = trace_step,
    .arguments = {ARGUMENT_WORD, ARGUMENT_WORD},
    .choices = trace_choices,
    .most = 2,
    .lists = true,
};
