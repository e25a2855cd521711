/* SPDX-License-Identifier: MIT */
/* Rows as a table and as JSON: alignment, each kind of cell, rows with cells too many or too few,
 * and that no byte sequence makes bad JSON or a control byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/monitor/output.h"

static char written[4096];
static size_t written_size;

static void put(void *context, const char *bytes, size_t size)
{
    assert_ptr_equal(context, written);
    assert_in_range(size, 1, sizeof(written) - 1 - written_size);
    memcpy(written + written_size, bytes, size);
    written_size += size;
    written[written_size] = '\0';
}

static struct output start(bool json)
{
    written_size = 0;
    written[0] = '\0';
    return (struct output){.put = put, .context = written, .json = json};
}

static const struct column columns[] = {
    {"NAME", "name", -8}, {"VCPUS", "vcpus", 6}, {"STATE", "state", -8}, {"ABOUT", "about", 0}};
#define COLUMNS ARRAY_SIZE(columns)

static void write_rows(struct output *out)
{
    output_header(out, columns, COLUMNS);
    row_begin(out, columns, COLUMNS);
    row_text(out, "a");
    row_number(out, 2);
    row_text(out, "running");
    row_text(out, "of any length at all");
    row_end(out);
    row_begin(out, columns, COLUMNS);
    row_text(out, "a-long-name");
    row_number(out, UINT64_MAX);
    row_none(out);
    row_text(out, "x");
    row_end(out);
}

static void test_table(void **state)
{
    struct output out = start(false);

    (void)state;
    write_rows(&out);
    assert_string_equal(written, "NAME      VCPUS STATE    ABOUT\n"
                                 "a             2 running  of any length at all\n"
                                 "a-long-name 18446744073709551615 -        x\n");
}

static void test_json(void **state)
{
    struct output out = start(true);

    (void)state;
    write_rows(&out);
    assert_string_equal(
        written,
        "{\"name\":\"a\",\"vcpus\":2,\"state\":\"running\",\"about\":\"of any length at all\"}\n"
        "{\"name\":\"a-long-name\",\"vcpus\":18446744073709551615,\"state\":null,"
        "\"about\":\"x\"}\n");
}

static void test_no_blanks_at_the_end(void **state)
{
    struct output out = start(false);

    (void)state;
    output_header(&out, columns, 3);
    row_begin(&out, columns, COLUMNS);
    row_text(&out, "a");
    row_end(&out);
    row_begin(&out, columns, COLUMNS);
    row_text(&out, " b  c ");
    row_text(&out, "");
    row_text(&out, "");
    row_text(&out, " d  ");
    row_end(&out);
    row_begin(&out, columns, COLUMNS);
    row_text(&out, "   ");
    row_end(&out);
    assert_string_equal(written, "NAME      VCPUS STATE\n"
                                 "a\n"
                                 " b  c                     d\n"
                                 "\n");
}

static void test_a_wide_column(void **state)
{
    static const struct column wide[] = {{"A", "a", -100}, {"B", "b", 3}};
    struct output out = start(false);

    (void)state;
    row_begin(&out, wide, ARRAY_SIZE(wide));
    row_text(&out, "x");
    row_number(&out, 7);
    row_end(&out);
    assert_int_equal(written_size, 100 + 1 + 3 + 1);
    assert_int_equal(strspn(written + 1, " "), 99 + 1 + 2);
    assert_string_equal(written + 103, "7\n");
}

static void test_cells_too_few_and_too_many(void **state)
{
    (void)state;
    for (int json = 0; json <= 1; json++) {
        struct output out = start(json);
        row_begin(&out, columns, 2);
        row_text(&out, "a");
        row_end(&out);
        row_text(&out, "behind the end");
        row_begin(&out, columns, 2);
        row_text(&out, "b");
        row_number(&out, 1);
        row_number(&out, 2);
        row_text(&out, "more");
        row_none(&out);
        row_end(&out);
        assert_string_equal(written, json ? "{\"name\":\"a\"}\n{\"name\":\"b\",\"vcpus\":1}\n"
                                          : "a\nb             1\n");
    }
}

static const struct column one[] = {{"V", "v", 0}};

/* A row of one cell as a line of the table, and its value in JSON. */
static void check_written(bool json, const char *shown, const char *value)
{
    char expected[256];

    snprintf(expected, sizeof(expected), json ? "{\"v\":%s}\n" : "%s\n", json ? value : shown);
    assert_string_equal(written, expected);
}

typedef void row_fn(struct output *out, uint64_t number);

static void check_number(row_fn *row, uint64_t number, const char *shown, const char *value)
{
    for (int json = 0; json <= 1; json++) {
        struct output out = start(json);
        row_begin(&out, one, 1);
        row(&out, number);
        row_end(&out);
        check_written(json, shown, value);
    }
}

/* The text stands in a block of exactly its size: a byte too far is a sanitizer's report. */
static void check_text(const char *text, const char *shown, const char *value)
{
    char *copy = strdup(text);

    assert_non_null(copy);
    for (int json = 0; json <= 1; json++) {
        struct output out = start(json);
        row_begin(&out, one, 1);
        row_text(&out, copy);
        row_end(&out);
        check_written(json, shown, value);
    }
    free(copy);
}

static void test_numbers(void **state)
{
    (void)state;
    check_number(row_number, 0, "0", "0");
    check_number(row_hex, 0, "0x0", "\"0x0\"");
    check_number(row_hex, UINT64_MAX, "0xffffffffffffffff", "\"0xffffffffffffffff\"");
    check_number(row_permille, 0, "0.0%", "0.0");
    check_number(row_permille, 7, "0.7%", "0.7");
    check_number(row_permille, 123, "12.3%", "12.3");
    check_number(row_permille, 1000, "100.0%", "100.0");
    check_number(row_permille, UINT64_MAX, "1844674407370955161.5%", "1844674407370955161.5");
}

static void test_sizes(void **state)
{
    (void)state;
    check_number(row_size, 0, "0", "0");
    check_number(row_size, 1023, "1023", "1023");
    check_number(row_size, 36 * KIB, "36K", "36864");
    check_number(row_size, 36 * KIB + 1, "36865", "36865");
    check_number(row_size, 4 * MIB, "4M", "4194304");
    check_number(row_size, 4 * MIB + KIB, "4097K", "4195328");
    check_number(row_size, 3 * GIB, "3G", "3221225472");
    check_number(row_size, 2048 * GIB, "2048G", "2199023255552");
    check_number(row_size, UINT64_MAX, "18446744073709551615", "18446744073709551615");
}

static void test_text(void **state)
{
    (void)state;
    check_text("", "", "\"\"");
    check_text(" ~", " ~", "\" ~\"");
    check_text("a\"b\\c/", "a\"b\\c/", "\"a\\\"b\\\\c/\"");
    check_text("\x1b[2J\n\x1f\x7f.", "?[2J???.", "\"\\u001b[2J\\u000a\\u001f\\u007f.\"");
}

static void test_utf8(void **state)
{
    (void)state;
    check_text("\xc3\xa9.", "??.", "\"\\u00e9.\"");
    check_text("\xc2\x80", "??", "\"\\u0080\"");
    check_text("\xdf\xbf", "??", "\"\\u07ff\"");
    check_text("\xe0\xa0\x80", "???", "\"\\u0800\"");
    check_text("\xed\x9f\xbf\xee\x80\x80", "??????", "\"\\ud7ff\\ue000\"");
    check_text("\xef\xbf\xbf", "???", "\"\\uffff\"");
    check_text("\xf0\x90\x80\x80", "????", "\"\\ud800\\udc00\"");
    check_text("\xf0\x9f\x98\x80", "????", "\"\\ud83d\\ude00\"");
    check_text("\xf4\x8f\xbf\xbf", "????", "\"\\udbff\\udfff\"");
}

static void test_what_is_no_utf8_is_latin_1(void **state)
{
    (void)state;
    check_text("\xe9.", "?.", "\"\\u00e9.\"");          /* a lead alone */
    check_text("\x80\xbf", "??", "\"\\u0080\\u00bf\""); /* continuations alone */
    check_text("\xc3", "?", "\"\\u00c3\"");             /* cut short */
    check_text("\xe2\x82", "??", "\"\\u00e2\\u0082\""); /* likewise */
    check_text("\xf0\x9f\x98x", "???x", "\"\\u00f0\\u009f\\u0098x\"");
    check_text("\xc1\xbf", "??", "\"\\u00c1\\u00bf\""); /* longer than needed */
    check_text("\xe0\x9f\xbf", "???", "\"\\u00e0\\u009f\\u00bf\"");
    check_text("\xf0\x8f\xbf\xbf", "????", "\"\\u00f0\\u008f\\u00bf\\u00bf\"");
    check_text("\xed\xa0\x80", "???", "\"\\u00ed\\u00a0\\u0080\""); /* surrogates */
    check_text("\xed\xbf\xbf", "???", "\"\\u00ed\\u00bf\\u00bf\"");
    check_text("\xf4\x90\x80\x80", "????", "\"\\u00f4\\u0090\\u0080\\u0080\"");
    check_text("\xf5\x80\x80\x80", "????", "\"\\u00f5\\u0080\\u0080\\u0080\"");
    check_text("\xff", "?", "\"\\u00ff\"");
}

static void test_lines(void **state)
{
    struct output out = start(false);
    char expected[OUTPUT_LINE_MAX];

    (void)state;
    output_text(&out, "%d of %s\n", 2, "\x1b");
    assert_string_equal(written, "2 of \x1b\n");

    out = start(false);
    output_text(&out, "%*s\n", OUTPUT_LINE_MAX - 2, "x");
    assert_int_equal(written_size, OUTPUT_LINE_MAX - 1);
    assert_string_equal(written + OUTPUT_LINE_MAX - 3, "x\n");

    out = start(false);
    output_text(&out, "%0*d\n", OUTPUT_LINE_MAX - 1, 0);
    memset(expected, '0', sizeof(expected));
    strcpy(expected + OUTPUT_LINE_MAX - 2, "\n");
    assert_string_equal(written, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_no_blanks_at_the_end),
        cmocka_unit_test(test_a_wide_column),
        cmocka_unit_test(test_cells_too_few_and_too_many),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_what_is_no_utf8_is_latin_1),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
