/* SPDX-License-Identifier: MIT */
/* Any bytes as the hypervisor's options: each complaint is one line, what is accepted is within its
 * limits, and means the same when it is printed and read again. */
#include "tests/fuzz/input.h"

#include "kernel/options.h"

#define PRINTED_MAX 2048

static unsigned complaints;

static void report(const char *message)
{
    require(strlen(message) < OPTIONS_ERROR_MAX - 1, "a complaint that was cut");
    require_line(message, OPTIONS_ERROR_MAX);
    complaints++;
}

static void parse(const char *line, size_t size, struct options *options)
{
    char *copy = string_copy(line, size);

    complaints = 0;
    memset(options, 0x5a, sizeof(*options));
    options_parse(copy, options, report);
    free(copy);
}

static bool is_between(uint64_t number, uint64_t minimum, uint64_t maximum)
{
    return number >= minimum && number <= maximum;
}

static void check_options(const struct options *options)
{
    require(options->log_name_count <= OPTIONS_LOG_NAMES, "too many names");
    require(options->log_exits || options->log_name_count == 0, "names of nothing");
    for (uint32_t i = 0; i < options->log_name_count; i++)
        require(is_between(strnlen(options->log_names[i], OPTIONS_NAME_MAX), 1,
                           OPTIONS_NAME_MAX - 1),
                "a name that is empty or has no end");
    require(options->max_cpus <= 65535 && options->com_port <= 0xfff8 &&
                options->trace_port <= 0xfff8,
            "a number beyond its limit");
    require(options->com_baud > 0 && 115200 % options->com_baud == 0 &&
                115200 / options->com_baud <= 65535,
            "a rate that no UART has");
    require(is_between(options->slice_us, 10, 1000000) && options->console_rate <= 1000000 &&
                (options->tsc_hz == 0 || is_between(options->tsc_hz / 1000000, 10, 100000)),
            "a time beyond its limit");
    require(is_between(options->escape, 1, 31) && options->escape != 8 && options->escape != 9 &&
                options->escape != 10 && options->escape != 13 && options->escape != 27,
            "an escape that is another key");
    require((unsigned)options->onidle <= ONIDLE_MONITOR &&
                (unsigned)options->trace <= TRACE_FRAMED &&
                (unsigned)options->selftest <= SELFTEST_FAULTS,
            "no value of its kind");
}

/* A line that says all of it. */
static void print(const struct options *options, char *line)
{
    static const char *const onidles[] = {"", "onidle=halt ", "onidle=poweroff ", "onidle=reboot ",
                                          "onidle=monitor "};
    static const char *const selftests[] = {"", "selftest=panic ", "selftest=exception ",
                                            "selftest=stack ", "selftest=hostile ",
                                            "selftest=faults "};
    char *at = line;

    if (options->log_exits)
        at += sprintf(at, "log=exits%s", options->log_name_count == 0 ? " " : "");
    for (uint32_t i = 0; i < options->log_name_count; i++)
        at += sprintf(at, "%c%s%s", i == 0 ? ':' : ',', options->log_names[i],
                      i + 1 == options->log_name_count ? " " : "");
    if (options->trace == TRACE_FRAMED)
        at += sprintf(at, "trace=log ");
    else if (options->trace == TRACE_PORT)
        at += sprintf(at, "trace=%u ", options->trace_port);
    if (options->tsc_hz != 0)
        at += sprintf(at, "tsc=%lu ", options->tsc_hz / 1000000);
    if (options->com_port != 0)
        at += sprintf(at, "com=0x%x,%u ", options->com_port, options->com_baud);
    else
        at += sprintf(at, "com=none ");
    char escape = (char)(options->escape + (options->escape <= 26 ? 'a' - 1 : '@'));
    sprintf(at, "cpus=%u conrate=%u slice=%u apicv=%s escape=%c %s%s%s%s", options->max_cpus,
            options->console_rate, options->slice_us, options->apicv ? "on" : "off", escape,
            onidles[options->onidle], selftests[options->selftest], options->tour ? "tour " : "",
            options->shuffle ? "shuffle" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options options, again;
    char line[PRINTED_MAX];

    parse((const char *)data, size, &options);
    check_options(&options);
    print(&options, line);
    parse(line, strlen(line), &again);
    require(complaints == 0, "what was printed is not accepted");
    require(memcmp(&options, &again, sizeof(options)) == 0, "printed and read, it is another");
    return 0;
}
