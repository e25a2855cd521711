/* SPDX-License-Identifier: MIT */
/* The order of the start: boot_order=, the list, after=, each refusal, and random lists against the
 * rules themselves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm/start_order.h"

#define GUESTS_MAX 300

static struct vm_config configs[GUESTS_MAX];
static struct start_entry entries[GUESTS_MAX];
static uint32_t guest_count, order_count;
static uint32_t order[GUESTS_MAX];

static void begin(void)
{
    memset(configs, 0, sizeof(configs));
    guest_count = 0;
}

static void guest(const char *name, int boot_order, const char *after)
{
    struct vm_config *config = &configs[guest_count++];

    snprintf(config->name, sizeof(config->name), "%s", name);
    snprintf(config->after, sizeof(config->after), "%s", after);
    config->boot_order = boot_order;
}

/* Both arrays are blocks of exactly their size, and nothing is clean. */
static void run(void)
{
    uint32_t size = guest_count * (uint32_t)sizeof(uint32_t);
    uint32_t *exact_order = malloc(size ? size : 1), *scratch = malloc(size ? size : 1);

    assert_non_null(exact_order);
    assert_non_null(scratch);
    memset(scratch, 0x5a, size);
    memset(entries, 0x01, sizeof(entries));
    for (uint32_t i = 0; i < guest_count; i++)
        entries[i].config = &configs[i];
    order_count = start_order(entries, guest_count, exact_order, scratch);
    assert_true(order_count <= guest_count);
    memcpy(order, exact_order, order_count * sizeof(order[0]));
    free(exact_order);
    free(scratch);
}

/* The names in their order, with a blank behind each. */
static void expect(const char *names)
{
    char got[GUESTS_MAX * VM_NAME_MAX] = "";

    run();
    for (uint32_t i = 0; i < order_count; i++)
        strcat(strcat(got, configs[order[i]].name), " ");
    assert_string_equal(got, names);
    for (uint32_t i = 0; i < guest_count; i++)
        assert_int_equal(entries[i].refused, entries[i].error[0] != '\0');
}

static void expect_error(uint32_t i, const char *error)
{
    assert_true(entries[i].refused);
    assert_string_equal(entries[i].error, error);
}

static void test_no_guest(void **state)
{
    (void)state;
    begin();
    expect("");
}

static void test_as_listed(void **state)
{
    (void)state;
    begin();
    guest("c", 0, "");
    guest("a", 0, "");
    guest("b", 0, "");
    expect("c a b ");
}

static void test_boot_order(void **state)
{
    (void)state;
    begin();
    guest("a", 1, "");
    guest("b", 0, "");
    guest("c", -1000, "");
    guest("d", 1, "");
    guest("e", -1, "");
    guest("f", 1000, "");
    guest("g", 0, "");
    expect("c e b g a d f ");
}

static void test_after(void **state)
{
    (void)state;
    begin();
    guest("a", 0, "c");
    guest("b", 0, "");
    guest("c", 0, "");
    guest("d", 0, "b");
    expect("b c a d ");
}

static void test_after_wins_over_boot_order(void **state)
{
    (void)state;
    begin();
    guest("a", -5, "b");
    guest("b", 5, "");
    guest("c", 1, "");
    guest("d", 6, "");
    expect("c b a d ");
}

static void test_chain_backwards(void **state)
{
    (void)state;
    begin();
    guest("a", 0, "b");
    guest("b", 0, "c");
    guest("c", 0, "d");
    guest("d", 0, "");
    expect("d c b a ");
}

static void test_no_such_guest(void **state)
{
    (void)state;
    begin();
    guest("a", 0, "nobody");
    guest("b", 0, "a");
    guest("c", 0, "");
    guest("cc", 0, "ccc");
    expect("b c "); /* b starts as if it had no after= */
    expect_error(0, "after=nobody: no guest has this name");
    expect_error(3, "after=ccc: no guest has this name");
}

static void test_itself(void **state)
{
    (void)state;
    begin();
    guest("a", 0, "a");
    guest("b", 0, "a");
    expect("b ");
    expect_error(0, "after=a: this is the guest itself");
}

static void test_circle_of_two(void **state)
{
    (void)state;
    begin();
    guest("a", 0, "b");
    guest("b", 0, "a");
    guest("c", 0, "");
    expect("c ");
    expect_error(0, "after=b: stands in a circle (a after b after a)");
    expect_error(1, "after=a: stands in a circle (b after a after b)");
}

static void test_who_stands_behind_a_circle_starts_in_its_place(void **state)
{
    (void)state;
    begin();
    guest("x", 3, "y");
    guest("y", 0, "b");
    guest("a", 0, "b");
    guest("b", 0, "c");
    guest("c", 0, "a");
    guest("z", 1, "");
    expect("y z x ");
    expect_error(2, "after=b: stands in a circle (a after b after c after a)");
    expect_error(3, "after=c: stands in a circle (b after c after a after b)");
    expect_error(4, "after=a: stands in a circle (c after a after b after c)");
}

static void test_two_circles(void **state)
{
    (void)state;
    begin();
    guest("a", 0, "b");
    guest("c", 0, "d");
    guest("b", 0, "a");
    guest("d", 0, "c");
    expect("");
    expect_error(1, "after=d: stands in a circle (c after d after c)");
    expect_error(2, "after=a: stands in a circle (b after a after b)");
}

#define LONG "234567890123456789012345678901"

static void test_long_circles_are_cut(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 26; i++)
        guest((char[]){(char)('a' + i), '\0'}, 0, (char[]){(char)('a' + (i + 1) % 26), '\0'});
    expect("");
    expect_error(0, "after=b: stands in a circle (a after b after c after d after e after f after "
                    "g after h after i after j after k after l after m after n after ... after a)");

    begin();
    guest("a" LONG, 0, "b" LONG);
    guest("b" LONG, 0, "a" LONG);
    expect("");
    expect_error(0, "after=b" LONG ": stands in a circle (a" LONG " after ... after a" LONG ")");
}

/* A circle of every size with names of every length: whole lines, and every guest is in it. */
static void test_circles_of_every_size(void **state)
{
    (void)state;
    for (uint32_t size = 2; size <= 20; size++) {
        for (int width = 2; width < VM_NAME_MAX; width++) {
            begin();
            for (uint32_t i = 0; i < size; i++) {
                char name[VM_NAME_MAX], after[VM_NAME_MAX];
                snprintf(name, sizeof(name), "%0*u", width, i);
                snprintf(after, sizeof(after), "%0*u", width, (i + 1) % size);
                guest(name, 0, after);
            }
            run();
            assert_int_equal(order_count, 0);
            for (uint32_t i = 0; i < size; i++) {
                char end[2 * VM_NAME_MAX];
                snprintf(end, sizeof(end), " after %s)", configs[i].name);
                size_t length = strlen(entries[i].error);
                assert_true(length > strlen(end) && length < START_ORDER_ERROR_MAX);
                assert_string_equal(entries[i].error + length - strlen(end), end);
            }
        }
    }
}

static void test_hundreds(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < GUESTS_MAX; i++) {
        char name[VM_NAME_MAX], after[VM_NAME_MAX];
        snprintf(name, sizeof(name), "g%d", i);
        snprintf(after, sizeof(after), "g%d", i + 1);
        guest(name, i % 7, i + 1 < GUESTS_MAX ? after : "");
    }
    run();
    assert_int_equal(order_count, GUESTS_MAX);
    for (uint32_t i = 0; i < GUESTS_MAX; i++)
        assert_int_equal(order[i], GUESTS_MAX - 1 - i);
}

static int number_of(const char *name)
{
    for (uint32_t i = 0; i < guest_count; i++) {
        if (strcmp(configs[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* The number of the guest that `i` has to wait for, or -1. */
static int awaited(uint32_t i)
{
    int after = number_of(configs[i].after);
    return after < 0 || entries[after].refused ? -1 : after;
}

/* No guest stands in the order where one that is better in line could have stood. */
static void check_order(void)
{
    int place[GUESTS_MAX];

    memset(place, 0xff, sizeof(place));
    for (uint32_t i = 0; i < order_count; i++) {
        assert_int_equal(place[order[i]], -1);
        place[order[i]] = (int)i;
    }
    for (uint32_t i = 0; i < guest_count; i++) {
        assert_int_equal(place[i] < 0, entries[i].refused);
        if (entries[i].refused)
            continue;
        int ready = awaited(i) < 0 ? 0 : place[awaited(i)] + 1;
        assert_true(ready <= place[i]);
        for (int j = ready; j < place[i]; j++) {
            uint32_t other = order[j];
            assert_true(configs[other].boot_order < configs[i].boot_order ||
                        (configs[other].boot_order == configs[i].boot_order && other < i));
        }
    }
}

/* Is it wrong of `i` to wait: for nobody known, or by a chain that leads back to `i`? */
static bool is_wrong(uint32_t i)
{
    int at = (int)i;

    for (uint32_t steps = 0; steps < guest_count; steps++) {
        if (configs[at].after[0] == '\0')
            return false;
        at = number_of(configs[at].after);
        if (at < 0)
            return steps == 0;
        if (at == (int)i)
            return true;
    }
    return false;
}

static void test_random_lists(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 5000; round++) {
        begin();
        int count = 1 + rand() % 12;
        for (int i = 0; i < count; i++) {
            char name[2] = {(char)('a' + i), '\0'};
            char after[2] = {(char)('a' + rand() % (count + 1)), '\0'};
            guest(name, rand() % 3 - 1, rand() % 2 ? after : "");
        }
        run();
        for (uint32_t i = 0; i < guest_count; i++)
            assert_int_equal(entries[i].refused, is_wrong(i));
        check_order();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_guest),
        cmocka_unit_test(test_as_listed),
        cmocka_unit_test(test_boot_order),
        cmocka_unit_test(test_after),
        cmocka_unit_test(test_after_wins_over_boot_order),
        cmocka_unit_test(test_chain_backwards),
        cmocka_unit_test(test_no_such_guest),
        cmocka_unit_test(test_itself),
        cmocka_unit_test(test_circle_of_two),
        cmocka_unit_test(test_who_stands_behind_a_circle_starts_in_its_place),
        cmocka_unit_test(test_two_circles),
        cmocka_unit_test(test_long_circles_are_cut),
        cmocka_unit_test(test_circles_of_every_size),
        cmocka_unit_test(test_hundreds),
        cmocka_unit_test(test_random_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
