/* SPDX-License-Identifier: MIT */
/* Untrusted bytes as printable text: every byte, and every size that a text may have to fit in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/escape.h"

/* Both stand in blocks of their exact sizes: a byte too far is a sanitizer's report. */
static void check(const char *from, size_t length, size_t size, const char *expected)
{
    char *source = malloc(length ? length : 1);
    char *to = malloc(size ? size : 1);

    assert_non_null(source);
    assert_non_null(to);
    memcpy(source, from, length);
    size_t used = escape_text(to, size, source, length);
    if (used != strlen(expected) || memcmp(to, expected, used) != 0)
        fail_msg("%zu bytes \"%.*s\", expected \"%s\"", used, (int)used, to, expected);
    free(to);
    free(source);
}

static void test_each_byte(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte <= 0xff; byte++) {
        char from = (char)byte;
        char expected[8];
        bool stays = byte >= ' ' && byte <= '~';

        snprintf(expected, sizeof(expected), stays ? "%c" : "\\x%02x", byte);
        check(&from, 1, sizeof(expected), expected);
    }
}

/* The same at each place of a longer text, which is looked at by words. */
static void test_each_byte_among_others(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte <= 0xff; byte++)
        for (size_t at = 0; at < 20; at++) {
            char from[20], expected[64], one[8];
            bool stays = byte >= ' ' && byte <= '~';

            memset(from, '~', sizeof from);
            from[at] = (char)byte;
            snprintf(one, sizeof one, stays ? "%c" : "\\x%02x", byte);
            snprintf(expected, sizeof expected, "%.*s%s%.*s", (int)at, "~~~~~~~~~~~~~~~~~~~~", one,
                     (int)(19 - at), "~~~~~~~~~~~~~~~~~~~~");
            check(from, sizeof from, sizeof expected, expected);
        }
}

static void test_what_does_not_fit_is_left_out_whole(void **state)
{
    static const char *const expected[] = {"",         "a",        "ab",       "ab",
                                           "ab",       "ab",       "ab\\x1b",  "ab\\x1bc",
                                           "ab\\x1bc", "ab\\x1bc", "ab\\x1bc", "ab\\x1bc\\x0a"};

    (void)state;
    for (size_t size = 0; size < ARRAY_SIZE(expected); size++)
        check("ab\033c\n", 5, size, expected[size]);
}

static void test_nothing_behind_the_first_that_did_not_fit(void **state)
{
    (void)state;
    check("a\nb", 3, 4, "a");
}

static void test_a_nul_is_a_byte_like_others(void **state)
{
    (void)state;
    check("a\0b", 3, 16, "a\\x00b");
    check("", 0, 16, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_byte),
        cmocka_unit_test(test_each_byte_among_others),
        cmocka_unit_test(test_what_does_not_fit_is_left_out_whole),
        cmocka_unit_test(test_nothing_behind_the_first_that_did_not_fit),
        cmocka_unit_test(test_a_nul_is_a_byte_like_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
