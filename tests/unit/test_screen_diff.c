/* SPDX-License-Identifier: MIT */
/* The bytes between two screens, fed to a small terminal that knows nothing but them: it must show
 * the second one, cell by cell, whatever room there was for the bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/monitor/screen_diff.h"

#define LAST (SCREEN_CELLS - 1) /* the cell that is not drawn */

static struct screen shown, wanted;

/* ---- The terminal: text, CUP, SGR 0 and 7. Behind the last column its cursor is lost. */
static struct {
    struct screen screen;
    uint32_t row, column;
    bool lost;
    uint8_t attribute;
} terminal;

static void terminal_put(char c)
{
    assert_false(terminal.lost);
    assert_in_range(c, ' ', '~');
    const uint32_t at = terminal.row * SCREEN_COLUMNS + terminal.column;
    assert_int_not_equal(at, LAST);
    terminal.screen.cells[at] = (uint8_t)c | terminal.attribute;
    terminal.lost = ++terminal.column == SCREEN_COLUMNS;
}

static const char *terminal_escape(const char *at)
{
    unsigned row, column;
    int length = 0;
    if (!strncmp(at, "\x1b[7m", 4)) {
        terminal.attribute = SCREEN_INVERSE;
        return at + 4;
    }
    if (!strncmp(at, "\x1b[m", 3)) {
        terminal.attribute = 0;
        return at + 3;
    }
    if (sscanf(at, "\x1b[%u;%uH%n", &row, &column, &length) != 2 || length == 0)
        fail_msg("unknown escape sequence");
    assert_in_range(row, 1, SCREEN_ROWS);
    assert_in_range(column, 1, SCREEN_COLUMNS);
    terminal.row = row - 1;
    terminal.column = column - 1;
    terminal.lost = false;
    return at + length;
}

static void terminal_read(const char *bytes, size_t size)
{
    char text[SCREEN_CELLS * 16 + 1];
    assert_true(size < sizeof text);
    memcpy(text, bytes, size);
    text[size] = '\0';
    terminal.lost = true; /* whatever was written before */
    for (const char *at = text; at < text + size;) {
        if (*at == '\x1b')
            at = terminal_escape(at);
        else
            terminal_put(*at++);
    }
    assert_int_equal(terminal.attribute, 0);
}

/* ---- */

static int set_up(void **state)
{
    (void)state;
    screen_clear(&shown);
    screen_clear(&wanted);
    screen_clear(&terminal.screen);
    terminal.attribute = 0;
    return 0;
}

/* Sends it all, `size` bytes at a time; returns how many there were. */
static size_t send(size_t size)
{
    char *bytes = malloc(size); /* for the sanitizer to see its end */
    size_t sent = 0;
    uint32_t at = 0;
    for (unsigned turns = 0; at < SCREEN_CELLS; turns++) {
        assert_true(turns < 4 * SCREEN_CELLS);
        size_t used = screen_diff(&shown, &wanted, &at, bytes, size);
        assert_true(used <= size);
        terminal_read(bytes, used);
        sent += used;
    }
    free(bytes);
    assert_memory_equal(terminal.screen.cells, wanted.cells, LAST);
    assert_memory_equal(shown.cells, wanted.cells, LAST);
    return sent;
}

static void nothing_changed(void **state)
{
    (void)state;
    assert_int_equal(send(2048), 0);
    screen_put(&wanted, 3, 4, 0, "text");
    send(2048);
    assert_int_equal(send(2048), 0);
}

static void one_cell(void **state)
{
    (void)state;
    screen_put(&wanted, 23, 78, 0, "x");
    assert_int_equal(send(2048), strlen("\x1b[24;79Hx"));
    screen_put(&wanted, 0, 0, SCREEN_INVERSE, "y");
    assert_int_equal(send(2048), strlen("\x1b[1;1H\x1b[7my\x1b[m"));
    screen_put(&wanted, 0, 0, 0, "y");
    assert_int_equal(send(2048), strlen("\x1b[1;1Hy"));
}

static void the_last_cell_is_left_alone(void **state)
{
    (void)state;
    screen_put(&wanted, 23, 79, 0, "x");
    assert_int_equal(send(2048), 0);
}

/* A number that grows by one in its first and last digit is written as a whole. */
static void a_short_gap_is_written_again(void **state)
{
    (void)state;
    screen_put(&wanted, 5, 10, 0, "19999");
    send(2048);
    screen_put(&wanted, 5, 10, 0, "29998");
    assert_int_equal(send(2048), strlen("\x1b[6;11H29998"));
    screen_put(&wanted, 5, 10, 0, "39998     0");
    assert_int_equal(send(2048), strlen("\x1b[6;11H3\x1b[6;21H0"));
}

static void no_gap_over_other_attributes(void **state)
{
    (void)state;
    screen_put(&wanted, 5, 10, 0, "a");
    screen_put(&wanted, 5, 11, SCREEN_INVERSE, "b");
    screen_put(&wanted, 5, 12, 0, "c");
    send(2048);
    screen_put(&wanted, 5, 10, 0, "x");
    screen_put(&wanted, 5, 12, 0, "x");
    send(2048);
}

/* Where lines meet the cursor is not trusted. */
static void over_the_edge(void **state)
{
    (void)state;
    screen_put(&wanted, 1, 78, 0, "ab");
    screen_put(&wanted, 2, 0, 0, "cd");
    assert_int_equal(send(2048), strlen("\x1b[2;79Hab\x1b[3;1Hcd"));
}

static void text_ends_with_its_row(void **state)
{
    (void)state;
    assert_int_equal(screen_put(&wanted, 2, 77, 0, "abcdef"), SCREEN_COLUMNS);
    assert_int_equal(wanted.cells[2 * SCREEN_COLUMNS + 79], 'c');
    assert_int_equal(wanted.cells[3 * SCREEN_COLUMNS], ' ');
    assert_int_equal(screen_put(&wanted, 2, 200, 0, "x"), 200);
    assert_int_equal(screen_put(&wanted, SCREEN_ROWS, 0, 0, "x"), 0);
    assert_int_equal(screen_put(&wanted, 0, 0, 0, "\x1b[2J\n\x7f\xff"), 7);
    assert_memory_equal(wanted.cells, "?[2J???", 7);
    send(2048);
}

static void random_screens(void **state)
{
    (void)state;
    srandom(1);
    for (unsigned round = 0; round < 300; round++) {
        const unsigned changes = round % 3 == 0 ? 4 * SCREEN_CELLS : (unsigned)random() % 100;
        for (unsigned i = 0; i < changes; i++) {
            const uint8_t attribute = random() % 4 == 0 ? SCREEN_INVERSE : 0;
            wanted.cells[random() % LAST] = (uint8_t)(' ' + random() % 95) | attribute;
        }
        const size_t room = SCREEN_DIFF_MIN + (size_t)random() % (round % 2 ? 20 : 2048);
        assert_true(send(room) <= changes * 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_changed, set_up),
        cmocka_unit_test_setup(one_cell, set_up),
        cmocka_unit_test_setup(the_last_cell_is_left_alone, set_up),
        cmocka_unit_test_setup(a_short_gap_is_written_again, set_up),
        cmocka_unit_test_setup(no_gap_over_other_attributes, set_up),
        cmocka_unit_test_setup(over_the_edge, set_up),
        cmocka_unit_test_setup(text_ends_with_its_row, set_up),
        cmocka_unit_test_setup(random_screens, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
