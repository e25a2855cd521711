/* SPDX-License-Identifier: MIT */
/* The hypervisor's options: a table of names, one reader each. A reader works on a copy of the
 * options, so a bad value leaves no trace. kernel/options.h says what the options mean. */
#include "kernel/options.h"
#include "kernel/lib/format.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/text.h"

#include <linux/errno.h>
#include <string.h>

#define COM_PORT_DEFAULT  0x3f8
#define COM_BAUD_DEFAULT  115200u /* and the UART's clock: other rates divide it */
#define COM_DIVISOR_MAX   0xffffu
#define COM_PORTS         8u      /* ports of a UART, from its first */
#define CPUS_LIMIT        65535u
#define TSC_MHZ_MIN       10u
#define TSC_MHZ_MAX       100000u
#define SLICE_DEFAULT_US  1000u
#define SLICE_MIN_US      10u
#define SLICE_MAX_US      1000000u
#define CONTROL_MASK      0x1fu   /* of a letter: its control key */
#define ESCAPE_DEFAULT    ('o' & CONTROL_MASK)
#define CONSOLE_RATE_DEFAULT 100u
#define CONSOLE_RATE_MAX  1000000u
#define SHOWN             48 /* bytes of a word that a message shows */

static int read_number(struct text text, uint64_t minimum, uint64_t maximum, uint64_t *number)
{
    int error = parse_u64(text.bytes, text.length, number);
    if (error)
        return error;
    return *number < minimum || *number > maximum ? -ERANGE : 0;
}

static bool is_reason_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static int add_log_name(struct options *options, struct text name)
{
    if (name.length == 0 || name.length >= OPTIONS_NAME_MAX)
        return -EINVAL;
    if (options->log_name_count == OPTIONS_LOG_NAMES)
        return -E2BIG;
    for (size_t i = 0; i < name.length; i++) {
        if (!is_reason_character(name.bytes[i]))
            return -EINVAL;
    }
    memcpy(options->log_names[options->log_name_count++], name.bytes, name.length);
    return 0;
}

static int read_log(struct options *options, struct text value)
{
    if (!text_equals(text_cut(&value, ':'), "exits"))
        return -EINVAL;
    options->log_exits = true;

    while (value.bytes) {
        int error = add_log_name(options, text_cut(&value, ','));
        if (error)
            return error;
    }
    return 0;
}

static int read_cpus(struct options *options, struct text value)
{
    uint64_t cpus;
    int error = read_number(value, 0, CPUS_LIMIT, &cpus);

    if (!error)
        options->max_cpus = (uint32_t)cpus;
    return error;
}

static int read_onidle(struct options *options, struct text value)
{
    static const char *const names[] = {
        [ONIDLE_HALT] = "halt",
        [ONIDLE_POWEROFF] = "poweroff",
        [ONIDLE_REBOOT] = "reboot",
        [ONIDLE_MONITOR] = "monitor",
    };

    for (size_t i = ONIDLE_HALT; i < ARRAY_SIZE(names); i++) {
        if (text_equals(value, names[i])) {
            options->onidle = (enum onidle)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int read_port(struct text value, uint16_t *number)
{
    static const struct {
        const char *name;
        uint16_t port;
    } ports[] = {{"com1", 0x3f8}, {"com2", 0x2f8}, {"com3", 0x3e8}, {"com4", 0x2e8}};

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        if (text_equals(value, ports[i].name)) {
            *number = ports[i].port;
            return 0;
        }
    }
    uint64_t port;
    int error = read_number(value, 1, 0x10000 - COM_PORTS, &port);
    if (!error)
        *number = (uint16_t)port;
    return error;
}

static int read_com(struct options *options, struct text value)
{
    if (text_equals(value, "none")) {
        options->com_port = 0;
        return 0;
    }
    int error = read_port(text_cut(&value, ','), &options->com_port);
    if (error || !value.bytes)
        return error;

    uint64_t baud;
    error = read_number(value, 1, COM_BAUD_DEFAULT, &baud);
    if (error)
        return error;
    if (COM_BAUD_DEFAULT % baud != 0 || COM_BAUD_DEFAULT / baud > COM_DIVISOR_MAX)
        return -EINVAL;
    options->com_baud = (uint32_t)baud;
    return 0;
}

static int read_trace(struct options *options, struct text value)
{
    options->trace = text_equals(value, "log") ? TRACE_FRAMED : TRACE_PORT;
    return options->trace == TRACE_FRAMED ? 0 : read_port(value, &options->trace_port);
}

/* Not a key that terminals send for something else: Backspace, Tab, Enter, Escape. */
static int read_escape(struct options *options, struct text value)
{
    char key = value.length == 1 ? value.bytes[0] : '\0';
    bool letter = key >= 'a' && key <= 'z' && key != 'h' && key != 'i' && key != 'j' && key != 'm';
    if (!letter && key != ']' && key != '\\' && key != '^' && key != '_')
        return -EINVAL;
    options->escape = (uint8_t)key & CONTROL_MASK;
    return 0;
}

static int read_console_rate(struct options *options, struct text value)
{
    uint64_t rate;
    int error = read_number(value, 0, CONSOLE_RATE_MAX, &rate);

    if (!error)
        options->console_rate = (uint32_t)rate;
    return error;
}

static int read_tsc(struct options *options, struct text value)
{
    uint64_t mhz;
    int error = read_number(value, TSC_MHZ_MIN, TSC_MHZ_MAX, &mhz);

    if (!error)
        options->tsc_hz = mhz * 1000000;
    return error;
}

static int read_slice(struct options *options, struct text value)
{
    uint64_t slice;
    int error = read_number(value, SLICE_MIN_US, SLICE_MAX_US, &slice);

    if (!error)
        options->slice_us = (uint32_t)slice;
    return error;
}

/* A word alone: no value. */
static int read_flag(bool *flag, struct text value)
{
    if (value.bytes)
        return -EINVAL;
    *flag = true;
    return 0;
}

static int read_tour(struct options *options, struct text value)
{
    return read_flag(&options->tour, value);
}

static int read_shuffle(struct options *options, struct text value)
{
    return read_flag(&options->shuffle, value);
}

static int read_apicv(struct options *options, struct text value)
{
    if (!text_equals(value, "on") && !text_equals(value, "off"))
        return -EINVAL;
    options->apicv = text_equals(value, "on");
    return 0;
}

static int read_selftest(struct options *options, struct text value)
{
    static const char *const names[] = {
        [SELFTEST_PANIC] = "panic",
        [SELFTEST_EXCEPTION] = "exception",
        [SELFTEST_STACK] = "stack",
        [SELFTEST_HOSTILE] = "hostile",
        [SELFTEST_FAULTS] = "faults",
    };

    for (size_t i = SELFTEST_PANIC; i < ARRAY_SIZE(names); i++) {
        if (text_equals(value, names[i])) {
            options->selftest = (enum selftest)i;
            return 0;
        }
    }
    return -EINVAL;
}

static const struct option {
    const char *name;
    const char *expected;
    int (*read)(struct options *options, struct text value);
} table[] = {
    {"log",    "log=exits or log=exits:NAME,... with up to 16 names", read_log},
    {"cpus",   "cpus=N, 0 (all) to 65535",                            read_cpus},
    {"onidle", "onidle=halt, poweroff, reboot or monitor",            read_onidle},
    {"escape", "escape=X, a letter but h, i, j and m, or one of ]\\^_",  read_escape},
    {"conrate", "conrate=N, 0 (no limit) to 1000000 lines a second",  read_console_rate},
    {"trace",  "trace=log or trace=PORT, com1 to com4 or a number",   read_trace},
    {"com",    "com=none or com=PORT[,BAUD], com1 to com4 or a number, BAUD dividing 115200",
                                                                      read_com},
    {"tsc",    "tsc=MHZ, 10 to 100000",                               read_tsc},
    {"slice",  "slice=US, 10 to 1000000 microseconds",                read_slice},
    {"selftest", "selftest=panic, exception, stack, hostile or faults",
                             read_selftest},
    {"apicv",  "apicv=on or off",                                     read_apicv},
    {"tour",   "tour alone",                                          read_tour},
    {"shuffle", "shuffle alone",                                      read_shuffle},
};

/* One line: the word, cut where it is long, and what is wrong with it. */
static void complain(options_report_fn *report, struct text word, const char *problem,
                     const char *detail)
{
    char message[OPTIONS_ERROR_MAX];

    snprintf(message, sizeof(message), "option %.*s: %s%s", (int)MIN(word.length, (size_t)SHOWN),
             word.bytes, problem, detail);
    for (char *c = message; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?'; /* one line stays one line */
    }
    report(message);
}

/* Reads one word: NAME or NAME=VALUE. `*seen` has bit n when table[n] was there. */
static void read_word(struct text word, struct options *options, uint32_t *seen,
                      options_report_fn *report)
{
    struct text value = word;
    struct text name = text_cut(&value, '=');

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (!text_equals(name, table[i].name))
            continue;
        if (*seen & BIT(i)) {
            complain(report, word, "a duplicate, the first one counts: ", table[i].name);
            return;
        }
        *seen |= (uint32_t)BIT(i);

        struct options changed = *options;
        if (table[i].read(&changed, value) == 0)
            *options = changed;
        else
            complain(report, word, "bad value, expected ", table[i].expected);
        return;
    }
    complain(report, word, "unknown", "");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void options_parse(const char *command_line, struct options *options, options_report_fn *report)
{
    uint32_t seen = 0;

    memset(options, 0, sizeof(*options));
    options->com_port = COM_PORT_DEFAULT;
    options->com_baud = COM_BAUD_DEFAULT;
    options->slice_us = SLICE_DEFAULT_US;
    options->apicv = true;
    options->escape = ESCAPE_DEFAULT;
    options->console_rate = CONSOLE_RATE_DEFAULT;

    for (const char *at = command_line; *at;) {
        struct text word = {at, 0};
        while (*at && !is_blank(*at))
            at++;
        word.length = (size_t)(at - word.bytes);
        if (word.length > 0)
            read_word(word, options, &seen, report);
        while (is_blank(*at))
            at++;
    }
}
