/* SPDX-License-Identifier: MIT */
/* Any bytes as keys: the line stays a line, and what draws it stays within its buffer and its
 * columns. The first byte is the width of the terminal. */
#include "tests/fuzz/require.h"

#include <string.h>

#include "kernel/monitor/line_editor.h"

static const char *const candidates[] = {"list", "links", "log", "a-very-long-name-of-a-vm.0"};

static bool is_printable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~')
            return false;
    }
    return true;
}

static void check_line(const struct line_editor *editor)
{
    const char *start;
    uint32_t number;

    require(editor->length < EDIT_LINE_MAX, "a line that is too long");
    require(strnlen(editor->text, EDIT_LINE_MAX) == editor->length, "a line without its end");
    require(is_printable(editor->text, editor->length), "a control byte in the line");
    require(editor->cursor <= editor->length, "a cursor behind the line");
    size_t length = line_editor_word(editor, &start, &number);
    require(start >= editor->text && start + length == editor->text + editor->cursor,
            "a word that does not end at the cursor");
    require(number <= editor->cursor, "more words than bytes");
}

/* In a block of exactly its size. */
static void check_drawing(const struct line_editor *editor, size_t columns)
{
    static const char erase[] = "\r\x1b[K";
    char *drawn = malloc(EDIT_DRAWN_MAX);

    require(drawn, "memory");
    size_t size = line_editor_draw(editor, "atoll> ", columns, drawn);
    require(size >= strlen(erase) && size <= EDIT_DRAWN_MAX, "drawn: its length");
    require(memcmp(drawn, erase, strlen(erase)) == 0, "drawn: without erasing the line");

    const char *text = drawn + strlen(erase);
    size_t rest = size - strlen(erase);
    const char *back = memchr(text, '\x1b', rest);
    size_t shown = back ? (size_t)(back - text) : rest;
    require(is_printable(text, shown), "drawn: a control byte");
    require(shown == 0 || shown < columns, "drawn: up to the last column");
    require(!back || (rest - shown >= 4 && text[rest - 1] == 'D'), "drawn: a sequence cut short");
    free(drawn);
}

static void press(struct line_editor *editor, uint8_t key, size_t columns)
{
    switch (line_editor_key(editor, key)) {
    case EDIT_NOTHING: break;
    case EDIT_COMPLETE: {
        size_t fitting = line_editor_complete(editor, candidates, ARRAY_SIZE(candidates));
        require(fitting <= ARRAY_SIZE(candidates), "more candidates than there are");
        break;
    }
    case EDIT_LINE:
    case EDIT_CANCEL:
        check_line(editor);
        line_editor_start(editor);
        require(editor->length == 0, "a new line that is not empty");
        break;
    case EDIT_CHANGED:
    case EDIT_REDRAW: check_drawing(editor, columns); break;
    }
    check_line(editor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line_editor *editor = calloc(1, sizeof(*editor));

    require(editor, "memory");
    line_editor_start(editor);
    for (size_t i = 1; i < size; i++)
        press(editor, data[i], data[0]);
    free(editor);
    return 0;
}
