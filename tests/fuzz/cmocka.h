/* SPDX-License-Identifier: MIT */
/* Stands for cmocka where a fuzz target includes a unit test, for its model: an assertion that
 * fails ends the program. The target renames that test's main. */
#ifndef TESTS_FUZZ_CMOCKA_H
#define TESTS_FUZZ_CMOCKA_H

#include "tests/fuzz/require.h"

struct CMUnitTest {
    void (*test)(void **state);
    int (*set_up)(void **state), (*tear_down)(void **state);
};

#define cmocka_unit_test(test)                           {test, NULL, NULL}
#define cmocka_unit_test_setup(test, up)                 {test, up, NULL}
#define cmocka_unit_test_setup_teardown(test, up, down)  {test, up, down}
#define cmocka_run_group_tests(tests, up, down)          ((void)(tests), 1)

#define assert_true(a)         require(!!(a), #a)
#define assert_false(a)        require(!(a), "not " #a)
#define assert_null(a)         assert_true((a) == NULL)
#define assert_non_null(a)     assert_true((a) != NULL)
#define assert_int_equal(a, b) \
    require((unsigned long long)(a) == (unsigned long long)(b), #a " == " #b)
#define assert_int_not_equal(a, b)       assert_true((a) != (b))
#define assert_ptr_equal(a, b)           assert_true((const void *)(a) == (const void *)(b))
#define assert_in_range(a, low, high)    assert_true((a) >= (low) && (a) <= (high))
#define assert_string_equal(a, b)        require(strcmp((a), (b)) == 0, #a " == " #b)
#define assert_memory_equal(a, b, size)  require(memcmp((a), (b), (size)) == 0, #a " == " #b)
#define assert_memory_not_equal(a, b, n) require(memcmp((a), (b), (n)) != 0, #a " != " #b)
#define fail_msg(...)                    (fprintf(stderr, __VA_ARGS__), require(false, ""))

#endif
