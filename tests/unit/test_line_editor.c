/* SPDX-License-Identifier: MIT */
/* The line editor: each key, the history's bounds, escape sequences known and unknown, completion,
 * what is drawn on a model of a terminal's line, and random bytes from a fixed seed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/monitor/line_editor.h"

static struct line_editor editor;

static void check_sound(void)
{
    assert_true(editor.length < EDIT_LINE_MAX);
    assert_true(editor.cursor <= editor.length);
    assert_int_equal(strnlen(editor.text, EDIT_LINE_MAX), editor.length);
    assert_true(editor.history_count <= EDIT_HISTORY && editor.history_end < EDIT_HISTORY);
    assert_true(editor.recalled <= editor.history_count);
    assert_true(editor.sequence_length <= sizeof(editor.sequence));
}

/* Presses keys; the result of the last one. */
static enum edit_result type(const char *keys)
{
    enum edit_result result = EDIT_NOTHING;

    for (; *keys; keys++) {
        result = line_editor_key(&editor, (uint8_t)*keys);
        check_sound();
    }
    return result;
}

/* The text as it is with '|' where the cursor is. */
static void check(const char *expected)
{
    char shown[EDIT_LINE_MAX + 1];

    snprintf(shown, sizeof(shown), "%.*s|%s", (int)editor.cursor, editor.text,
             editor.text + editor.cursor);
    assert_string_equal(shown, expected);
}

static void enter(const char *line)
{
    type(line);
    assert_int_equal(type("\r"), EDIT_LINE);
    line_editor_start(&editor);
}

static int fresh(void **state)
{
    (void)state;
    memset(&editor, 0, sizeof(editor));
    line_editor_start(&editor);
    return 0;
}

static void test_text(void **state)
{
    (void)state;
    assert_int_equal(type("a"), EDIT_CHANGED);
    assert_int_equal(type("bc ~"), EDIT_CHANGED);
    check("abc ~|");
    type("\x02\x02x");
    check("abcx| ~");
    line_editor_start(&editor);
    check("|");
}

static void test_no_other_bytes_are_text(void **state)
{
    (void)state;
    for (unsigned byte = 0x80; byte <= 0xff; byte++)
        assert_int_equal(line_editor_key(&editor, (uint8_t)byte), EDIT_NOTHING);
    assert_int_equal(line_editor_key(&editor, 0), EDIT_NOTHING);
    assert_int_equal(type("\x07\x0f\x1c\x1d\x1e\x1f"), EDIT_NOTHING);
    check("|");
}

/* Each is pressed with "ab cd" and the cursor behind the "b" or where `at` says. */
static const struct {
    const char *at, *key, *result;
} edits[] = {
    {"", "\x01", "|ab cd"},    {"", "\x05", "ab cd|"},        {"", "\x02", "a|b cd"},
    {"", "\x06", "ab |cd"},    {"", "\x04", "ab|cd"},         {"", "\x08", "a| cd"},
    {"", "\x7f", "a| cd"},     {"", "\x0b", "ab|"},           {"", "\x15", "| cd"},
    {"", "\x17", "| cd"},      {"\x05", "\x17", "ab |"},      {"\x05 \x06", "\x17", "ab |"},
    {"\x06", "\x17", "|cd"},   {"\x06\x06", "\x17", "ab |d"}, {"", "\x1b[D", "a|b cd"},
    {"", "\x1bOD", "a|b cd"},  {"", "\x1b[C", "ab |cd"},      {"", "\x1bOC", "ab |cd"},
    {"", "\x1b[H", "|ab cd"},  {"", "\x1bOH", "|ab cd"},      {"", "\x1b[1~", "|ab cd"},
    {"", "\x1b[7~", "|ab cd"}, {"", "\x1b[F", "ab cd|"},      {"", "\x1bOF", "ab cd|"},
    {"", "\x1b[4~", "ab cd|"}, {"", "\x1b[8~", "ab cd|"},     {"", "\x1b[3~", "ab|cd"},
};

static void test_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
        line_editor_start(&editor);
        type("ab cd\x02\x02\x02");
        type(edits[i].at);
        assert_int_equal(type(edits[i].key), EDIT_CHANGED);
        check(edits[i].result);
    }
}

static void test_keys_that_find_nothing_to_do(void **state)
{
    static const char *const at_end[] = {"\x05", "\x06", "\x04", "\x0b", "\x0e", "\x10"};
    static const char *const at_start[] = {"\x01", "\x02", "\x08", "\x7f", "\x15", "\x17"};

    (void)state;
    type("ab");
    for (size_t i = 0; i < ARRAY_SIZE(at_end); i++)
        assert_int_equal(type(at_end[i]), EDIT_NOTHING);
    check("ab|");
    type("\x01");
    for (size_t i = 0; i < ARRAY_SIZE(at_start); i++)
        assert_int_equal(type(at_start[i]), EDIT_NOTHING);
    check("|ab");
}

static void test_keys_for_the_caller(void **state)
{
    (void)state;
    type("ab\x02");
    assert_int_equal(type("\t"), EDIT_COMPLETE);
    assert_int_equal(type("\x03"), EDIT_CANCEL);
    assert_int_equal(type("\x0c"), EDIT_REDRAW);
    check("a|b");
    assert_int_equal(type("\r"), EDIT_LINE);
    assert_string_equal(editor.text, "ab");
}

static void test_ends_of_lines(void **state)
{
    (void)state;
    assert_int_equal(type("\r"), EDIT_LINE);
    line_editor_start(&editor); /* keeps in mind that there was a CR */
    assert_int_equal(type("\n"), EDIT_NOTHING);
    assert_int_equal(type("\n"), EDIT_LINE);
    assert_int_equal(type("\r"), EDIT_LINE);
    assert_int_equal(type("\r"), EDIT_LINE);
    assert_int_equal(type("a\n"), EDIT_LINE);
}

static void test_a_full_line(void **state)
{
    char full[EDIT_LINE_MAX];

    (void)state;
    memset(full, 'x', sizeof(full) - 1);
    full[sizeof(full) - 1] = '\0';
    assert_int_equal(type(full), EDIT_CHANGED);
    assert_int_equal(type("y"), EDIT_NOTHING);
    type("\x01");
    assert_int_equal(type("y"), EDIT_NOTHING);
    assert_string_equal(editor.text, full);
    enter("");
    type("\x10");
    assert_string_equal(editor.text, full);
    type("\x08y");
    assert_int_equal(editor.text[EDIT_LINE_MAX - 2], 'y');
}

/* ---- History */

static void test_history(void **state)
{
    (void)state;
    enter("one");
    enter("two");
    type("new\x02");
    assert_int_equal(type("\x10"), EDIT_CHANGED);
    check("two|");
    type("\x10");
    check("one|");
    assert_int_equal(type("\x10"), EDIT_NOTHING);
    check("one|");
    type("\x0e");
    check("two|");
    assert_int_equal(type("\x0e"), EDIT_CHANGED);
    check("new|");
    assert_int_equal(type("\x0e"), EDIT_NOTHING);
    assert_int_equal(type("\x1b[A"), EDIT_CHANGED);
    check("two|");
    type("\x1b[B");
    check("new|");
    type("\x1bOA\x1bOA");
    check("one|");
    type("\x1bOB");
    check("two|");
}

static void test_what_the_history_takes(void **state)
{
    (void)state;
    enter("one");
    enter("one");
    enter("");
    type("gone\x03");
    line_editor_start(&editor);
    assert_int_equal(editor.history_count, 1);
    enter("two");
    enter("one");
    assert_int_equal(editor.history_count, 3);
}

static void test_a_recalled_line_is_a_line(void **state)
{
    (void)state;
    enter("one");
    enter("two");
    type("\x10\x10!");
    check("one!|");
    assert_int_equal(type("\r"), EDIT_LINE);
    line_editor_start(&editor);
    type("\x10");
    check("one!|");
    type("\x10\x10");
    check("one|"); /* as it was entered */
}

static void test_the_history_is_a_ring(void **state)
{
    char line[8];

    (void)state;
    for (int i = 0; i < 2 * EDIT_HISTORY + 3; i++) {
        snprintf(line, sizeof(line), "%d", i);
        enter(line);
    }
    for (int i = 2 * EDIT_HISTORY + 2; i >= EDIT_HISTORY + 3; i--) {
        assert_int_equal(type("\x10"), EDIT_CHANGED);
        snprintf(line, sizeof(line), "%d", i);
        assert_string_equal(editor.text, line);
    }
    assert_int_equal(type("\x10"), EDIT_NOTHING);
    assert_string_equal(editor.text, line);
}

/* ---- Escape sequences */

static void test_unknown_sequences_are_swallowed(void **state)
{
    static const char *const unknown[] = {
        "\x1b[1;5C",
        "\x1b[200~",
        "\x1b[?25h",
        "\x1b[Z",
        "\x1b[ @",
        "\x1b[>0;276;0c",
        "\x1b[99999999999999999999999999999999A",
        "\x1b[3;5~",
        "\x1b[3A",
        "\x1bOP",
        "\x1bO5C",
        "\033b",
        "\x1b(B",
        "\x1b#8",
        "\x1b$(B",
        "\x1b=",
        "\x1b~",
        "\x1b[\x9b",
        "\x1b\xc3",
        "\x1b]10;rgb:0/0/0\x1b\\",
        "\x1bP1$r0m\x1b\\",
        "\x1bXtext\x1b\\",
        "\x1b^a\x07",
        "\x1b_b\x07",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        line_editor_start(&editor);
        type("ab\x02");
        for (const char *byte = unknown[i]; *byte; byte++)
            assert_int_equal(line_editor_key(&editor, (uint8_t)*byte), EDIT_NOTHING);
        type("x");
        if (strcmp(editor.text, "axb") != 0)
            fail_msg("sequence %zu: \"%s\"", i, editor.text);
    }
}

static void test_a_control_byte_ends_a_sequence(void **state)
{
    (void)state;
    type("ab");
    assert_int_equal(type("\x1b\r"), EDIT_LINE);
    assert_int_equal(type("\x1b[\x03"), EDIT_CANCEL);
    assert_int_equal(type("\x1b[1\x7f"), EDIT_CHANGED);
    check("a|");
    type("\x1b\x1b[D");
    check("|a");
    type("\x1b[1\x1b[C");
    check("a|");
    assert_int_equal(type("\x1b]0;t\r"), EDIT_LINE);
    line_editor_start(&editor);
    type("\x1b[");
    line_editor_start(&editor);
    type("A");
    check("A|");
}

/* ---- Completion */

static const char *const names[] = {"list", "links", "log", "restart", "a-longer-one"};

static void check_completion(const char *typed, size_t fitting, const char *result)
{
    line_editor_start(&editor);
    type(typed);
    assert_int_equal(line_editor_complete(&editor, names, ARRAY_SIZE(names)), fitting);
    check_sound();
    check(result);
}

static void test_completion(void **state)
{
    (void)state;
    check_completion("x", 0, "x|");
    check_completion("listing", 0, "listing|");
    check_completion("r", 1, "restart |");
    check_completion("restart", 1, "restart |");
    check_completion("l", 3, "l|");
    check_completion("li", 2, "li|");
    check_completion("lis", 1, "list |");
    check_completion("", 5, "|");
    check_completion("info lo", 1, "info log |");
    check_completion("r b\x01\x06", 1, "restart |b");
    check_completion("rb\x02", 1, "restart |b");
    check_completion("\"r", 0, "\"r|");
}

static void test_the_common_beginning(void **state)
{
    static const char *const alike[] = {"ring-a", "ring-ab", "ring-b", "other"};

    (void)state;
    type("r");
    assert_int_equal(line_editor_complete(&editor, alike, 4), 3);
    check("ring-|");
    type("a");
    assert_int_equal(line_editor_complete(&editor, alike, 4), 2);
    check("ring-a|");
    assert_int_equal(line_editor_complete(&editor, alike, 1), 1);
    check("ring-a |");
    assert_int_equal(line_editor_complete(&editor, alike, 0), 0);
}

static void test_completion_of_a_full_line(void **state)
{
    char line[EDIT_LINE_MAX];

    (void)state;
    for (size_t room = 0; room <= 8; room++) {
        memset(line, 'x', sizeof(line));
        line[EDIT_LINE_MAX - 1 - room] = '\0';
        memcpy(line + strlen(line) - 2, " r", 2);
        line_editor_start(&editor);
        type(line);
        assert_int_equal(line_editor_complete(&editor, names, ARRAY_SIZE(names)), 1);
        check_sound();
        assert_int_equal(editor.length, strlen(line) + MIN(room, strlen("estart ")));
    }
}

static void test_which_word(void **state)
{
    static const struct {
        const char *typed, *word;
        uint32_t number;
    } examples[] = {
        {"", "", 0},
        {"  ", "", 0},
        {"li", "li", 0},
        {"  li", "li", 0},
        {"info ", "", 1},
        {"info  a", "a", 1},
        {"a b c", "c", 2},
        {"a b c\x02\x02", "b", 1},
        {"a b\x02", "", 1},
        {"a \"b c", "\"b c", 1},
        {"a \"b c\" d", "d", 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        const char *start;
        uint32_t number;

        line_editor_start(&editor);
        type(examples[i].typed);
        size_t length = line_editor_word(&editor, &start, &number);
        assert_int_equal(number, examples[i].number);
        assert_int_equal(length, strlen(examples[i].word));
        assert_memory_equal(start, examples[i].word, length);
        assert_ptr_equal(start + length, editor.text + editor.cursor);
    }
}

/* ---- Drawing */

/* What a terminal shows of it: a line with '|' where the cursor is. Nothing may reach the last
 * column. */
static const char *draw(const char *prompt, size_t columns)
{
    static char line[2 * EDIT_DRAWN_MAX];
    char *drawn = malloc(EDIT_DRAWN_MAX);
    unsigned long back = 0;

    assert_non_null(drawn);
    size_t size = line_editor_draw(&editor, prompt, columns, drawn);
    assert_in_range(size, 4, EDIT_DRAWN_MAX);
    assert_memory_equal(drawn, "\r\x1b[K", 4);
    size_t shown = 4;
    while (shown < size && drawn[shown] != '\x1b')
        shown++;
    if (shown < size) {
        char *end, tail[EDIT_DRAWN_MAX + 1];
        snprintf(tail, sizeof(tail), "%.*s", (int)(size - shown), drawn + shown);
        assert_memory_equal(tail, "\x1b[", 2);
        back = strtoul(tail + 2, &end, 10);
        assert_string_equal(end, "D");
        assert_in_range(back, 1, shown - 4);
    }
    assert_in_range(shown - 4, 0, columns ? columns - 1 : 0);
    snprintf(line, sizeof(line), "%.*s|%.*s", (int)(shown - 4 - back), drawn + 4, (int)back,
             drawn + shown - back);
    free(drawn);
    return line;
}

static void test_drawing(void **state)
{
    (void)state;
    assert_string_equal(draw("> ", 80), "> |");
    type("list");
    assert_string_equal(draw("> ", 80), "> list|");
    type("\x02");
    assert_string_equal(draw("> ", 80), "> lis|t");
    type("\x01");
    assert_string_equal(draw("> ", 80), "> |list");
    assert_string_equal(draw("", 80), "|list");
}

static void test_drawing_at_the_last_column(void **state)
{
    (void)state;
    type("0123456");
    assert_string_equal(draw("> ", 10), "> 0123456|");
    type("7");
    assert_string_equal(draw("> ", 10), "> 34567|");
}

static void test_drawing_a_part(void **state)
{
    (void)state;
    type("0123456789abcdef");
    assert_string_equal(draw("> ", 11), "> 89abcdef|");
    type("\x02");
    assert_string_equal(draw("> ", 11), "> 89abcde|f");
    type("\x01");
    assert_string_equal(draw("> ", 11), "> |01234567");
}

/* The cursor is seen at every place of a line, and what is around it is what is there. */
static void test_drawing_in_any_width(void **state)
{
    (void)state;
    for (int i = 0; i < EDIT_LINE_MAX - 1; i++)
        line_editor_key(&editor, (uint8_t)('!' + i % 90));
    for (size_t columns = 0; columns <= 300; columns += columns < 20 ? 1 : 29) {
        for (editor.cursor = 0; editor.cursor <= editor.length; editor.cursor++) {
            const char *shown = draw("atoll> ", columns);
            size_t prompt = MIN(7, columns ? (columns - 1) / 2 : 0);
            const char *cursor = strrchr(shown + prompt, '|');
            size_t before = (size_t)(cursor - shown) - prompt;

            assert_memory_equal(shown, "atoll> ", prompt);
            assert_in_range(before, 0, editor.cursor);
            assert_memory_equal(shown + prompt, editor.text + editor.cursor - before, before);
            assert_memory_equal(cursor + 1, editor.text + editor.cursor, strlen(cursor + 1));
        }
    }
    editor.cursor = editor.length;
}

static void test_a_long_prompt(void **state)
{
    char prompt[400];

    (void)state;
    memset(prompt, 'p', sizeof(prompt) - 1);
    prompt[sizeof(prompt) - 1] = '\0';
    type("ab");
    assert_string_equal(draw(prompt, 9), "ppppab|");
    assert_in_range(strlen(draw(prompt, 100000)), 100, EDIT_DRAWN_MAX);
    assert_string_equal(draw(prompt, 0), "|");
    assert_string_equal(draw(prompt, 1), "|");
    for (int i = 0; i < EDIT_LINE_MAX; i++)
        type("x");
    type("\x01");
    assert_in_range(strlen(draw(prompt, 100000)), 200, EDIT_DRAWN_MAX);
}

/* ---- Anything */

static void test_random_bytes(void **state)
{
    static const char likely[] =
        "\x1b[ O~ABCDHF123;\x01\x02\x05\x06\x0b\x0e\x10\x15\x17\x08\x04\r\n\t";

    (void)state;
    srand(1);
    for (int i = 0; i < 300000; i++) {
        int kind = rand() % 4;
        uint8_t byte = (uint8_t)rand();
        if (kind == 0)
            byte = (uint8_t)likely[byte % (sizeof(likely) - 1)];
        else if (kind < 3)
            byte = 'a' + byte % 26;
        enum edit_result result = line_editor_key(&editor, byte);
        check_sound();
        for (size_t at = 0; at < editor.length; at++)
            assert_in_range(editor.text[at], ' ', '~');
        if (result == EDIT_COMPLETE)
            line_editor_complete(&editor, names, ARRAY_SIZE(names));
        if ((result == EDIT_LINE || result == EDIT_CANCEL) && rand() % 8 == 0)
            line_editor_start(&editor);
        check_sound();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_text, fresh),
        cmocka_unit_test_setup(test_no_other_bytes_are_text, fresh),
        cmocka_unit_test_setup(test_keys, fresh),
        cmocka_unit_test_setup(test_keys_that_find_nothing_to_do, fresh),
        cmocka_unit_test_setup(test_keys_for_the_caller, fresh),
        cmocka_unit_test_setup(test_ends_of_lines, fresh),
        cmocka_unit_test_setup(test_a_full_line, fresh),
        cmocka_unit_test_setup(test_history, fresh),
        cmocka_unit_test_setup(test_what_the_history_takes, fresh),
        cmocka_unit_test_setup(test_a_recalled_line_is_a_line, fresh),
        cmocka_unit_test_setup(test_the_history_is_a_ring, fresh),
        cmocka_unit_test_setup(test_unknown_sequences_are_swallowed, fresh),
        cmocka_unit_test_setup(test_a_control_byte_ends_a_sequence, fresh),
        cmocka_unit_test_setup(test_completion, fresh),
        cmocka_unit_test_setup(test_the_common_beginning, fresh),
        cmocka_unit_test_setup(test_completion_of_a_full_line, fresh),
        cmocka_unit_test_setup(test_which_word, fresh),
        cmocka_unit_test_setup(test_drawing, fresh),
        cmocka_unit_test_setup(test_drawing_at_the_last_column, fresh),
        cmocka_unit_test_setup(test_drawing_a_part, fresh),
        cmocka_unit_test_setup(test_drawing_in_any_width, fresh),
        cmocka_unit_test_setup(test_a_long_prompt, fresh),
        cmocka_unit_test_setup(test_random_bytes, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
