/* SPDX-License-Identifier: MIT */
/* A command line in words, and the words that stand for numbers and vCPUs: each form and each
 * refusal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/monitor/words.h"

static char *line;
static const char *words[WORDS_MAX];
static bool json;

/* Splits the text in a block of exactly its size: a byte too far is a sanitizer's report. */
static int split(const char *text)
{
    size_t size = strlen(text) + 1;

    free(line);
    line = malloc(size);
    assert_non_null(line);
    memcpy(line, text, size);
    json = true;
    memset(words, 0, sizeof(words));
    return words_split(line, words, &json);
}

/* `expected` are the words with "|" behind each. */
static void check(const char *text, const char *expected, bool expected_json)
{
    char found[256] = "";
    int count = split(text);

    assert_in_range(count, 0, WORDS_MAX);
    for (int i = 0; i < count; i++) {
        strcat(found, words[i]);
        strcat(found, "|");
    }
    if (strcmp(found, expected) != 0 || json != expected_json)
        fail_msg("\"%s\": %s json %d, expected %s json %d", text, found, json, expected,
                 expected_json);
}

static void test_blanks_separate(void **state)
{
    (void)state;
    check("", "", false);
    check("  \t ", "", false);
    check("list", "list|", false);
    check("  peek a\t0x10   4 ", "peek|a|0x10|4|", false);
}

static void test_quotes_keep_blanks(void **state)
{
    (void)state;
    check("log \"a b\" c", "log|a b|c|", false);
    check("x a\" \"b\"\"c d", "x|a bc|d|", false);
    check("\"\"", "|", false);
    check("x \"\" y", "x||y|", false);
    check("\"x\ty\"", "x\ty|", false);
}

static void test_a_quote_that_does_not_end(void **state)
{
    (void)state;
    assert_int_equal(split("\""), -EINVAL);
    assert_int_equal(split("a \"b c"), -EINVAL);
    assert_int_equal(split("a b\"\"\""), -EINVAL);
}

static void test_json(void **state)
{
    (void)state;
    check("list -j", "list|", true);
    check("info -j a", "info|a|", true);
    check("info a -j -j b", "info|a|b|", true);
    check("-j", "-j|", false); /* the name of a command that there is not */
    check("-j -j", "-j|", true);
    check("x -jj --j -J -", "x|-jj|--j|-J|-|", false);
    check("x \"-j\" -\"j\"", "x|-j|-j|", false);
}

static void test_how_many(void **state)
{
    (void)state;
    check("0 1 2 3 4 5 6 7 8 9 a b c d e f", "0|1|2|3|4|5|6|7|8|9|a|b|c|d|e|f|", false);
    check("0 1 2 3 4 5 6 7 8 9 a b c d e f -j ", "0|1|2|3|4|5|6|7|8|9|a|b|c|d|e|f|", true);
    assert_int_equal(split("0 1 2 3 4 5 6 7 8 9 a b c d e f g"), -E2BIG);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *word;
        int result;
        uint64_t number;
    } numbers[] = {
        {"0", 0, 0},
        {"12", 0, 12},
        {"0x1F", 0, 31},
        {"4K", 0, 4096},
        {"0x10M", 0, 16 * MIB},
        {"2G", 0, 2 * GIB},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"17179869184G", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"ff", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uint64_t number = 0;
        int result = words_number(numbers[i].word, &number);
        if (result != numbers[i].result || number != numbers[i].number)
            fail_msg("\"%s\": %d, %lu", numbers[i].word, result, number);
    }
}

static void test_vcpus(void **state)
{
    static const struct {
        const char *word;
        int result;
        size_t name_length;
        uint32_t index;
    } vcpus[] = {
        {"a", 0, 1, 0},
        {"a.0", 0, 1, 0},
        {"ring-a.12", 0, 6, 12},
        {"a.b.3", 0, 3, 3},
        {"a.1.2", 0, 3, 2},
        {"a1", 0, 2, 0},
        {"7", 0, 1, 0},
        {"a.", 0, 2, 0},
        {"a.x1", 0, 4, 0},
        {"a.0x1", 0, 5, 0},
        {"a.4294967295", 0, 1, UINT32_MAX},
        {"a.4294967296", -EINVAL, 9, 9},
        {"a.99999999999999999999", -EINVAL, 9, 9},
        {"", -EINVAL, 9, 9},
        {".1", -EINVAL, 9, 9},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(vcpus); i++) {
        size_t name_length = 9;
        uint32_t index = 9;
        int result = words_vcpu(vcpus[i].word, &name_length, &index);
        if (result != vcpus[i].result || name_length != vcpus[i].name_length ||
            index != vcpus[i].index)
            fail_msg("\"%s\": %d, %zu, %u", vcpus[i].word, result, name_length, index);
    }
}

static int free_line(void **state)
{
    (void)state;
    free(line);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blanks_separate),
        cmocka_unit_test(test_quotes_keep_blanks),
        cmocka_unit_test(test_a_quote_that_does_not_end),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_vcpus),
    };
    return cmocka_run_group_tests(tests, NULL, free_line);
}
