/* SPDX-License-Identifier: MIT */
/* Numbers and sizes from text: each form, each refusal, the last value that fits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/parse.h"

struct example {
    const char *text;
    int result;
    uint64_t value;
};

typedef int parse_fn(const char *text, size_t length, uint64_t *value);

/* Each text stands in a block of its exact length: a byte read too far is a sanitizer's report. */
static void check(parse_fn *parse, const struct example *example)
{
    size_t length = strlen(example->text);
    char *text = malloc(length ? length : 1);
    uint64_t value = 0x5afe;

    assert_non_null(text);
    memcpy(text, example->text, length);
    int result = parse(text, length, &value);
    if (result != example->result || value != (result ? 0x5afe : example->value))
        fail_msg("\"%s\": %d, 0x%lx", example->text, result, value);
    free(text);
}

static const struct example numbers[] = {
    {"0", 0, 0},
    {"7", 0, 7},
    {"007", 0, 7},
    {"0x0", 0, 0},
    {"0xfF", 0, 255},
    {"0X10", 0, 16},
    {"18446744073709551615", 0, UINT64_MAX},
    {"0xffffffffffffffff", 0, UINT64_MAX},
    {"0x00000000000000000000001", 0, 1},
    {"18446744073709551616", -ERANGE, 0},
    {"99999999999999999999999", -ERANGE, 0},
    {"0x10000000000000000", -ERANGE, 0},
    {"99999999999999999999999x", -EINVAL, 0},
    {"", -EINVAL, 0},
    {"0x", -EINVAL, 0},
    {"x1", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"+1", -EINVAL, 0},
    {" 1", -EINVAL, 0},
    {"1 ", -EINVAL, 0},
    {"12a", -EINVAL, 0},
    {"0xfg", -EINVAL, 0},
    {"1.5", -EINVAL, 0},
};

static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        check(parse_u64, &numbers[i]);
}

static void test_a_size_without_a_suffix_is_a_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        check(parse_size, &numbers[i]);
}

static void test_suffixes(void **state)
{
    static const struct example sizes[] = {
        {"4K", 0, 4096},
        {"3M", 0, 3 * MIB},
        {"2G", 0, 2 * GIB},
        {"0x10M", 0, 16 * MIB},
        {"0G", 0, 0},
        {"17179869183G", 0, 17179869183 * GIB},
        {"17179869184G", -ERANGE, 0},
        {"18014398509481983K", 0, 18014398509481983 * KIB},
        {"18014398509481984K", -ERANGE, 0},
        {"99999999999999999999999M", -ERANGE, 0},
        {"K", -EINVAL, 0},
        {"0xM", -EINVAL, 0},
        {"4KM", -EINVAL, 0},
        {"4k", -EINVAL, 0},
        {"4T", -EINVAL, 0},
        {"M4", -EINVAL, 0},
        {"4MB", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        check(parse_size, &sizes[i]);
}

static void test_length_ends_the_text(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(parse_u64("123456", 3, &value), 0);
    assert_int_equal(value, 123);
    assert_int_equal(parse_size("4M5", 2, &value), 0);
    assert_int_equal(value, 4 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_a_size_without_a_suffix_is_a_number),
        cmocka_unit_test(test_suffixes),
        cmocka_unit_test(test_length_ends_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
