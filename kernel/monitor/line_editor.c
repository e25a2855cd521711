/* SPDX-License-Identifier: MIT */
/* Line editing: a byte is a part of an escape sequence, a control key or text. Keys that send a
 * sequence are translated into the control key that does the same. The text has printable ASCII
 * only, so that a byte is a column. */
#include "kernel/monitor/line_editor.h"

#include <string.h>

#include "kernel/lib/format.h"

enum key {
    KEY_HOME = 'A' & 0x1f,
    KEY_LEFT = 'B' & 0x1f,
    KEY_CANCEL = 'C' & 0x1f,
    KEY_DELETE = 'D' & 0x1f,
    KEY_END = 'E' & 0x1f,
    KEY_RIGHT = 'F' & 0x1f,
    KEY_BACKSPACE = 'H' & 0x1f,
    KEY_TAB = 'I' & 0x1f,
    KEY_LINE_FEED = 'J' & 0x1f,
    KEY_KILL_REST = 'K' & 0x1f,
    KEY_REDRAW = 'L' & 0x1f,
    KEY_RETURN = 'M' & 0x1f,
    KEY_DOWN = 'N' & 0x1f,
    KEY_UP = 'P' & 0x1f,
    KEY_KILL_LINE = 'U' & 0x1f,
    KEY_KILL_WORD = 'W' & 0x1f,
    KEY_ESCAPE = 0x1b,
    KEY_RUBOUT = 0x7f,
};

/* What VT100, xterm and the Linux console send, behind the escape. */
static const struct {
    char text[4];
    uint8_t key;
} sequences[] = {
    {"[A", KEY_UP},   {"[B", KEY_DOWN},    {"[C", KEY_RIGHT}, {"[D", KEY_LEFT},  {"[H", KEY_HOME},
    {"[F", KEY_END},  {"OA", KEY_UP},      {"OB", KEY_DOWN},  {"OC", KEY_RIGHT}, {"OD", KEY_LEFT},
    {"OH", KEY_HOME}, {"OF", KEY_END},     {"[1~", KEY_HOME}, {"[7~", KEY_HOME}, {"[4~", KEY_END},
    {"[8~", KEY_END}, {"[3~", KEY_DELETE},
};

/* ---- The text */

static void set_text(struct line_editor *editor, const char *text)
{
    editor->length = strlen(text);
    editor->cursor = editor->length;
    memcpy(editor->text, text, editor->length + 1);
}

static bool insert(struct line_editor *editor, char c)
{
    char *at = editor->text + editor->cursor;

    if (editor->length == EDIT_LINE_MAX - 1)
        return false;
    memmove(at + 1, at, editor->length - editor->cursor + 1);
    *at = c;
    editor->length++;
    editor->cursor++;
    return true;
}

/* Takes out the text from `start` to `end` and leaves the cursor there. */
static bool cut(struct line_editor *editor, size_t start, size_t end)
{
    if (start == end)
        return false;
    memmove(editor->text + start, editor->text + end, editor->length - end + 1);
    editor->length -= end - start;
    editor->cursor = start;
    return true;
}

static bool move(struct line_editor *editor, size_t cursor)
{
    bool moved = editor->cursor != cursor;

    editor->cursor = cursor;
    return moved;
}

/* Where the word before the cursor begins, with the blanks behind it. */
static size_t word_before(const struct line_editor *editor)
{
    size_t start = editor->cursor;

    while (start > 0 && editor->text[start - 1] == ' ')
        start--;
    while (start > 0 && editor->text[start - 1] != ' ')
        start--;
    return start;
}

/* ---- History */

/* The n-th last line; 1 is the newest. */
static char *history_line(struct line_editor *editor, uint32_t n)
{
    return editor->history[(editor->history_end + EDIT_HISTORY - n) % EDIT_HISTORY];
}

static void remember(struct line_editor *editor)
{
    if (editor->length == 0 || strcmp(history_line(editor, 1), editor->text) == 0)
        return; /* without a history, the last line is empty */
    memcpy(editor->history[editor->history_end], editor->text, editor->length + 1);
    editor->history_end = (editor->history_end + 1) % EDIT_HISTORY;
    editor->history_count = MIN(editor->history_count + 1, (uint32_t)EDIT_HISTORY);
}

static bool recall(struct line_editor *editor, uint32_t n)
{
    if (n > editor->history_count)
        return false;
    if (editor->recalled == 0)
        memcpy(editor->kept, editor->text, editor->length + 1);
    editor->recalled = n;
    set_text(editor, n > 0 ? history_line(editor, n) : editor->kept);
    return true;
}

/* ---- Keys */

/* The keys that do no more than edit. */
static bool edit(struct line_editor *editor, uint8_t key)
{
    size_t length = editor->length, cursor = editor->cursor;

    switch (key) {
    case KEY_HOME: return move(editor, 0);
    case KEY_END: return move(editor, length);
    case KEY_LEFT: return cursor > 0 && move(editor, cursor - 1);
    case KEY_RIGHT: return cursor < length && move(editor, cursor + 1);
    case KEY_UP: return recall(editor, editor->recalled + 1);
    case KEY_DOWN: return editor->recalled > 0 && recall(editor, editor->recalled - 1);
    case KEY_DELETE: return cursor < length && cut(editor, cursor, cursor + 1);
    case KEY_BACKSPACE:
    case KEY_RUBOUT: return cursor > 0 && cut(editor, cursor - 1, cursor);
    case KEY_KILL_REST: return cut(editor, cursor, length);
    case KEY_KILL_LINE: return cut(editor, 0, cursor);
    case KEY_KILL_WORD: return cut(editor, word_before(editor), cursor);
    default: return false;
    }
}

static enum edit_result press(struct line_editor *editor, uint8_t key)
{
    switch (key) {
    case KEY_RETURN:
    case KEY_LINE_FEED:
        remember(editor);
        return EDIT_LINE;
    case KEY_TAB: return EDIT_COMPLETE;
    case KEY_CANCEL: return EDIT_CANCEL;
    case KEY_REDRAW: return EDIT_REDRAW;
    default: return edit(editor, key) ? EDIT_CHANGED : EDIT_NOTHING;
    }
}

/* Does `byte`, which is no control, go on with the sequence so far? ECMA-48 5.3 to 5.6: ESC and
 * intermediate bytes; CSI, and SS3 likewise, with parameters and intermediate bytes up to a final
 * byte; the strings DCS, SOS, OSC, PM and APC, which a control byte ends. */
static bool goes_on(const struct line_editor *editor, uint8_t byte)
{
    if (editor->sequence_length == 1)
        return byte <= 0x2f || strchr("[OPX]^_", byte);

    switch (editor->sequence[1]) {
    case '[':
    case 'O': return byte <= 0x3f;
    case 'P':
    case 'X':
    case ']':
    case '^':
    case '_': return true;
    default: return byte <= 0x2f;
    }
}

static enum edit_result end_sequence(struct line_editor *editor)
{
    size_t size = editor->sequence_length - 1; /* without the escape */

    editor->sequence_length = 0;
    for (size_t i = 0; i < ARRAY_SIZE(sequences); i++) {
        const char *text = sequences[i].text;
        if (strlen(text) == size && memcmp(editor->sequence + 1, text, size) == 0)
            return press(editor, sequences[i].key);
    }
    return EDIT_NOTHING;
}

/* A sequence that fills the place for it is none of the known ones. */
static enum edit_result continue_sequence(struct line_editor *editor, uint8_t byte)
{
    bool last = !goes_on(editor, byte);

    if (editor->sequence_length < sizeof(editor->sequence))
        editor->sequence[editor->sequence_length++] = (char)byte;
    return last ? end_sequence(editor) : EDIT_NOTHING;
}

void line_editor_start(struct line_editor *editor)
{
    set_text(editor, "");
    editor->recalled = 0;
    editor->sequence_length = 0;
}

enum edit_result line_editor_key(struct line_editor *editor, uint8_t byte)
{
    bool control = byte < 0x20 || byte == KEY_RUBOUT;
    bool after_return = editor->after_return;

    editor->after_return = byte == KEY_RETURN;
    if (byte == KEY_LINE_FEED && after_return)
        return EDIT_NOTHING;
    if (editor->sequence_length > 0 && !control)
        return continue_sequence(editor, byte);

    /* A control byte ends a sequence, so that a lone escape takes no Enter or Ctrl-C away. */
    editor->sequence_length = 0;
    if (byte == KEY_ESCAPE) {
        editor->sequence[editor->sequence_length++] = (char)byte;
        return EDIT_NOTHING;
    }
    if (control)
        return press(editor, byte);
    if (byte > '~') /* of a character of UTF-8; C1 controls would be mistaken for those */
        return EDIT_NOTHING;
    return insert(editor, (char)byte) ? EDIT_CHANGED : EDIT_NOTHING;
}

/* ---- Completion */

size_t line_editor_word(const struct line_editor *editor, const char **start, uint32_t *number)
{
    size_t first = 0;
    bool quoted = false;

    *number = 0;
    for (size_t i = 0; i < editor->cursor; i++) {
        if (editor->text[i] == '"')
            quoted = !quoted;
        if (editor->text[i] != ' ' || quoted)
            continue;
        if (i > first)
            (*number)++;
        first = i + 1;
    }
    *start = editor->text + first;
    return editor->cursor - first;
}

static size_t common_length(const char *left, const char *right)
{
    size_t length = 0;

    while (left[length] && left[length] == right[length])
        length++;
    return length;
}

size_t line_editor_complete(struct line_editor *editor, const char *const *candidates, size_t count)
{
    const char *word, *found = NULL;
    uint32_t number;
    size_t typed = line_editor_word(editor, &word, &number);
    size_t fitting = 0, common = 0;

    for (size_t i = 0; i < count; i++) {
        if (strncmp(candidates[i], word, typed) != 0)
            continue;
        common = found ? MIN(common, common_length(found, candidates[i])) : strlen(candidates[i]);
        found = candidates[i];
        fitting++;
    }

    for (size_t i = typed; i < common; i++)
        insert(editor, found[i]);
    if (fitting != 1)
        return fitting;
    if (editor->text[editor->cursor] == ' ')
        editor->cursor++;
    else
        insert(editor, ' ');
    return fitting;
}

/* ---- Drawing */

#define ERASE     "\r\x1b[K"
#define WIDTH_MAX (EDIT_DRAWN_MAX - sizeof(ERASE) - sizeof("\x1b[999D"))

/* The first byte of the text that is shown in `room` columns, so that the cursor is among them or
 * right behind them. It goes in steps of half of them: not each key moves all of the line. */
static size_t first_shown(const struct line_editor *editor, size_t room)
{
    size_t step = MAX(room / 2, 1ul);

    if (editor->cursor <= room)
        return 0;
    return (editor->cursor - room + step - 1) / step * step;
}

size_t line_editor_draw(const struct line_editor *editor, const char *prompt, size_t columns,
                        char drawn[EDIT_DRAWN_MAX])
{
    /* The last column is for the cursor only: a terminal wraps behind a byte in it. */
    size_t width = MIN(columns > 0 ? columns - 1 : 0, WIDTH_MAX);
    size_t prompt_shown = MIN(strlen(prompt), width / 2);
    size_t room = width - prompt_shown;
    size_t first = first_shown(editor, room);
    size_t shown = MIN(editor->length - first, room);
    size_t back = first + shown - editor->cursor;

    int size = snprintf(drawn, EDIT_DRAWN_MAX, ERASE "%.*s%.*s", (int)prompt_shown, prompt,
                        (int)shown, editor->text + first);
    if (back > 0)
        size += snprintf(drawn + size, EDIT_DRAWN_MAX - (size_t)size, "\x1b[%zuD", back);
    return (size_t)size;
}
