/* SPDX-License-Identifier: MIT */
/* The hypervisor's options: each form, each refusal with its message, and that a bad word leaves
 * the others alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernel/options.h"

static struct options options;
static char reports[64][OPTIONS_ERROR_MAX];
static size_t report_count;

static void report(const char *message)
{
    assert_true(report_count < ARRAY_SIZE(reports));
    assert_true(strlen(message) < OPTIONS_ERROR_MAX - 1); /* whole, not cut */
    assert_null(strchr(message, '\n'));
    strcpy(reports[report_count++], message);
}

/* Parses the line in a block of exactly its size. Returns the number of reports. */
static size_t parse(const char *line)
{
    size_t size = strlen(line) + 1;
    char *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, line, size);
    memset(&options, 0x5a, sizeof(options));
    report_count = 0;
    options_parse(copy, &options, report);
    free(copy);
    return report_count;
}

static void accepted(const char *line)
{
    if (parse(line) != 0)
        fail_msg("\"%s\": %s", line, reports[0]);
}

static void check_defaults(void)
{
    static const struct options defaults = {
        .com_port = 0x3f8, .com_baud = 115200, .slice_us = 1000, .onidle = ONIDLE_DEFAULT,
        .apicv = true, .escape = 0x0f, .console_rate = 100,
    };
    assert_memory_equal(&options, &defaults, sizeof(options));
}

/* One report with all the words, and nothing changed. */
static void refused(const char *line, const char *word, const char *expected)
{
    if (parse(line) != 1 || !strstr(reports[0], word) || !strstr(reports[0], expected))
        fail_msg("\"%s\": %zu reports, \"%s\"", line, report_count, reports[0]);
    check_defaults();
}

static void test_defaults(void **state)
{
    (void)state;
    accepted("");
    check_defaults();
    accepted("  \t ");
    check_defaults();
}

static void test_all_together(void **state)
{
    (void)state;
    accepted(" log=exits:CPUID,HLT cpus=2\tonidle=poweroff  com=com2,9600 tsc=2900 slice=500 "
             "tour apicv=off ");
    assert_true(options.log_exits);
    assert_int_equal(options.log_name_count, 2);
    assert_string_equal(options.log_names[0], "CPUID");
    assert_string_equal(options.log_names[1], "HLT");
    assert_int_equal(options.max_cpus, 2);
    assert_int_equal(options.onidle, ONIDLE_POWEROFF);
    assert_int_equal(options.com_port, 0x2f8);
    assert_int_equal(options.com_baud, 9600);
    assert_int_equal(options.tsc_hz, 2900000000);
    assert_int_equal(options.slice_us, 500);
    assert_true(options.tour);
    assert_false(options.apicv);
}

static void test_log(void **state)
{
    static const char longest[] = "log=exits:A234567890123456789012345678901";
    static const char too_long[] = "log=exits:A2345678901234567890123456789012";
    static const char full[] = "log=exits:a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p";
    static const char too_many[] = "log=exits:a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q";

    (void)state;
    accepted("log=exits");
    assert_true(options.log_exits);
    assert_int_equal(options.log_name_count, 0);
    accepted(longest);
    assert_int_equal(strlen(options.log_names[0]), OPTIONS_NAME_MAX - 1);
    accepted(full);
    assert_int_equal(options.log_name_count, OPTIONS_LOG_NAMES);
    assert_string_equal(options.log_names[15], "p");
    accepted("log=exits:EPT_VIOLATION,MOV-DR");

    refused(too_long, "log=exits:A234", "log=exits:NAME");
    refused(too_many, "log=exits:a,b", "up to 16 names");
    refused("log", "log", "expected log=exits");
    refused("log=", "log=", "expected log=exits");
    refused("log=all", "log=all", "expected log=exits");
    refused("log=exits:", "log=exits:", "NAME");
    refused("log=exits:A,", "log=exits:A,", "NAME");
    refused("log=exits:,A", "log=exits:,A", "NAME");
    refused("log=exits:A,,B", "log=exits:A,,B", "NAME");
    refused("log=exits:A;B", "log=exits:A;B", "NAME");
    refused("log=exits,A", "log=exits,A", "NAME");
}

static void test_cpus(void **state)
{
    (void)state;
    accepted("cpus=0");
    assert_int_equal(options.max_cpus, 0);
    accepted("cpus=65535");
    assert_int_equal(options.max_cpus, 65535);
    refused("cpus=65536", "cpus=65536", "expected cpus=N");
    refused("cpus=4294967297", "cpus=4294967297", "expected cpus=N");
    refused("cpus", "option cpus: ", "expected cpus=N");
    refused("cpus=", "cpus=", "expected cpus=N");
    refused("cpus=two", "cpus=two", "expected cpus=N");
}

static void test_onidle(void **state)
{
    (void)state;
    accepted("onidle=halt");
    assert_int_equal(options.onidle, ONIDLE_HALT);
    accepted("onidle=poweroff");
    assert_int_equal(options.onidle, ONIDLE_POWEROFF);
    accepted("onidle=reboot");
    assert_int_equal(options.onidle, ONIDLE_REBOOT);
    accepted("onidle=monitor");
    assert_int_equal(options.onidle, ONIDLE_MONITOR);
    refused("onidle=sleep", "onidle=sleep", "halt, poweroff, reboot or monitor");
    refused("onidle=haltt", "onidle=haltt", "halt, poweroff, reboot or monitor");
    refused("onidle=hal", "onidle=hal", "halt, poweroff, reboot or monitor");
    refused("onidle", "onidle", "halt, poweroff, reboot or monitor");
}

static void test_com(void **state)
{
    static const struct {
        const char *line;
        uint32_t port, baud;
    } good[] = {
        {"com=com1", 0x3f8, 115200},    {"com=com2", 0x2f8, 115200},  {"com=com3", 0x3e8, 115200},
        {"com=com4", 0x2e8, 115200},    {"com=0x2f8", 0x2f8, 115200}, {"com=1016", 0x3f8, 115200},
        {"com=none", 0, 115200},        {"com=com1,57600", 0x3f8, 57600},
        {"com=0xfff8,2", 0xfff8, 2},    {"com=0xe9,115200", 0xe9, 115200},
    };
    static const char *const bad[] = {
        "com", "com=", "com=com5", "com=com", "com=0", "com=0xfff9", "com=0x10000", "com=ttyS0",
        "com=none,9600", "com=com1,", "com=com1,0", "com=com1,1", "com=com1,230400",
        "com=com1,50000", "com=com1,9600,8", "com=,9600", "com=com1,fast",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        accepted(good[i].line);
        assert_int_equal(options.com_port, good[i].port);
        assert_int_equal(options.com_baud, good[i].baud);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        refused(bad[i], bad[i], "expected com=none or com=PORT[,BAUD]");
}

static void test_tsc_and_slice(void **state)
{
    (void)state;
    accepted("tsc=10 slice=10");
    assert_int_equal(options.tsc_hz, 10000000);
    assert_int_equal(options.slice_us, 10);
    accepted("tsc=100000 slice=1000000");
    assert_int_equal(options.tsc_hz, 100000000000);
    assert_int_equal(options.slice_us, 1000000);
    refused("tsc=9", "tsc=9", "expected tsc=MHZ");
    refused("tsc=100001", "tsc=100001", "expected tsc=MHZ");
    refused("tsc=2.9", "tsc=2.9", "expected tsc=MHZ");
    refused("tsc", "tsc", "expected tsc=MHZ");
    refused("slice=9", "slice=9", "expected slice=US");
    refused("slice=1000001", "slice=1000001", "expected slice=US");
    refused("slice=18446744073709551617", "slice=18446744073709551617", "expected slice=US");
    refused("slice=1ms", "slice=1ms", "expected slice=US");
}

static void test_tour(void **state)
{
    (void)state;
    accepted("tour");
    assert_true(options.tour);
    refused("tour=1", "tour=1", "expected tour alone");
    refused("tour=", "tour=", "expected tour alone");
    assert_false(options.shuffle);
    accepted("shuffle");
    assert_true(options.shuffle);
    refused("shuffle=2", "shuffle=2", "expected shuffle alone");
}

static void test_escape(void **state)
{
    (void)state;
    accepted("escape=a");
    assert_int_equal(options.escape, 1);
    accepted("escape=z");
    assert_int_equal(options.escape, 26);
    accepted("escape=]");
    assert_int_equal(options.escape, 29);
    accepted("escape=\\");
    assert_int_equal(options.escape, 28);
    accepted("escape=^");
    assert_int_equal(options.escape, 30);
    accepted("escape=_");
    assert_int_equal(options.escape, 31);
    /* Backspace, Tab, Enter, Escape, and what is no control key. */
    static const char *const bad[] = {"escape=h", "escape=i", "escape=j", "escape=m", "escape=[",
                                      "escape=A", "escape=1", "escape=oo", "escape=", "escape"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        refused(bad[i], bad[i], "expected escape=X");
}

static void test_console_rate(void **state)
{
    (void)state;
    accepted("conrate=0");
    assert_int_equal(options.console_rate, 0);
    accepted("conrate=1000000");
    assert_int_equal(options.console_rate, 1000000);
    refused("conrate=1000001", "conrate=1000001", "0 (no limit) to 1000000");
    refused("conrate=-1", "conrate=-1", "0 (no limit) to 1000000");
    refused("conrate", "conrate", "0 (no limit) to 1000000");
}

static void test_trace(void **state)
{
    (void)state;
    accepted("trace=log");
    assert_int_equal(options.trace, TRACE_FRAMED);
    accepted("trace=com2");
    assert_int_equal(options.trace, TRACE_PORT);
    assert_int_equal(options.trace_port, 0x2f8);
    accepted("trace=0x3e8");
    assert_int_equal(options.trace_port, 0x3e8);
    refused("trace", "trace", "trace=log or trace=PORT");
    refused("trace=com5", "trace=com5", "trace=log or trace=PORT");
    refused("trace=0", "trace=0", "trace=log or trace=PORT");
}

static void test_apicv(void **state)
{
    (void)state;
    accepted("apicv=off");
    assert_false(options.apicv);
    accepted("apicv=on");
    assert_true(options.apicv);
    refused("apicv", "option apicv: ", "expected apicv=on or off");
    refused("apicv=", "apicv=", "expected apicv=on or off");
    refused("apicv=0", "apicv=0", "expected apicv=on or off");
    refused("apicv=offf", "apicv=offf", "expected apicv=on or off");
    refused("apicv=o", "apicv=o", "expected apicv=on or off");
    assert_int_equal(parse("apicv=off apicv=on"), 1);
    assert_false(options.apicv);
}

static void test_unknown_words(void **state)
{
    (void)state;
    refused("verbose", "option verbose", "unknown");
    refused("Log=exits", "option Log=exits", "unknown");
    refused("cpu=2", "option cpu=2", "unknown");
    refused("=2", "option =2", "unknown");
    refused("\x1b[2J\n", "option ?[2J?", "unknown");
    refused("a-word-that-is-very-long-indeed-and-goes-on-and-on-and-on-for-more-than-a-line-holds-"
            "so-that-it-would-fill-the-whole-message-and-leave-no-place-for-what-is-wrong-with-it",
            "option a-word-that-is-very-long", "unknown");
}

static void test_duplicates(void **state)
{
    (void)state;
    assert_int_equal(parse("cpus=2 cpus=3 cpus=4"), 2);
    assert_non_null(strstr(reports[0], "option cpus=3: a duplicate"));
    assert_non_null(strstr(reports[1], "option cpus=4: a duplicate"));
    assert_int_equal(options.max_cpus, 2);

    assert_int_equal(parse("cpus=x cpus=3"), 2); /* the name was spent on the bad one */
    assert_int_equal(options.max_cpus, 0);
    assert_int_equal(parse("tour tour"), 1);
    assert_true(options.tour);
}

static void test_a_bad_word_leaves_the_others(void **state)
{
    (void)state;
    assert_int_equal(parse("cpus=2 bogus onidle=never log=exits:A,B,;, com=com3 slice=0"), 4);
    assert_non_null(strstr(reports[0], "bogus"));
    assert_non_null(strstr(reports[1], "onidle=never"));
    assert_non_null(strstr(reports[2], "log=exits:A"));
    assert_non_null(strstr(reports[3], "slice=0"));
    assert_int_equal(options.max_cpus, 2);
    assert_int_equal(options.com_port, 0x3e8);
    assert_int_equal(options.slice_us, 1000);
    assert_false(options.log_exits);
    assert_int_equal(options.log_name_count, 0);
    assert_string_equal(options.log_names[0], "");
}

static void test_every_prefix_is_survived(void **state)
{
    static const char whole[] = "log=exits:CPUID,HLT cpus=2 onidle=reboot com=0x2f8,9600 tsc=2900 "
                                "slice=500 apicv=off tour bogus";
    char line[sizeof(whole)];

    (void)state;
    for (size_t length = 0; length < sizeof(whole); length++) {
        memcpy(line, whole, length);
        line[length] = '\0';
        assert_true(parse(line) <= 1); /* at most the last word is cut */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_together),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_onidle),
        cmocka_unit_test(test_com),
        cmocka_unit_test(test_tsc_and_slice),
        cmocka_unit_test(test_tour),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_console_rate),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_apicv),
        cmocka_unit_test(test_unknown_words),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_a_bad_word_leaves_the_others),
        cmocka_unit_test(test_every_prefix_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
