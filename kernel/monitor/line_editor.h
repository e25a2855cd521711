/* SPDX-License-Identifier: MIT */
/* The line that is being typed: cursor keys, Home, End, Del and Backspace, Ctrl-A E B F P N D H K U
 * W as in readline, a history. Bytes come from a terminal (ECMA-48, VT100 keys) and are untrusted:
 * an escape sequence that is not known is swallowed whole. Pure. */
#ifndef KERNEL_MONITOR_LINE_EDITOR_H
#define KERNEL_MONITOR_LINE_EDITOR_H

#include "kernel/lib/types.h"

#define EDIT_LINE_MAX 160 /* bytes of a line, with its NUL */
#define EDIT_HISTORY  16  /* lines */

enum edit_result {
    EDIT_NOTHING,  /* nothing is to be seen of it */
    EDIT_CHANGED,  /* draw the line again */
    EDIT_LINE,     /* Enter: `text` is the line; call line_editor_start for the next one */
    EDIT_COMPLETE, /* Tab: see line_editor_complete */
    EDIT_CANCEL,   /* Ctrl-C: the line is thrown away; call line_editor_start */
    EDIT_REDRAW,   /* Ctrl-L: clear the screen and draw the line */
};

struct line_editor {
    char text[EDIT_LINE_MAX]; /* NUL-terminated */
    size_t length, cursor;
    char history[EDIT_HISTORY][EDIT_LINE_MAX]; /* a ring, newest at history_end - 1 */
    uint32_t history_count, history_end;
    uint32_t recalled;        /* 0: the new line; n: the n-th last of the history */
    char kept[EDIT_LINE_MAX]; /* the new line while others are recalled */
    char sequence[8];         /* of an escape sequence so far */
    uint32_t sequence_length;
    bool after_return;        /* the last byte was CR: an LF behind it is no second line */
};

/* An empty line. The history stays; a zeroed editor has none. */
void line_editor_start(struct line_editor *editor);

/* A byte from the terminal. EDIT_LINE has put a line that is not empty, nor the same as the last
 * one, into the history. */
enum edit_result line_editor_key(struct line_editor *editor, uint8_t byte);

/* Puts what completes the word at the cursor there: the common beginning of all `candidates` (count
 * of them) that begin with the word, and a blank when there is just one. Returns how many there
 * are that fit. */
size_t line_editor_complete(struct line_editor *editor, const char *const *candidates,
                            size_t count);

/* The beginning of the word at the cursor, and which word of the line it is (0 is the first). */
size_t line_editor_word(const struct line_editor *editor, const char **start, uint32_t *number);

/* Writes what draws the prompt and the line over the present line of a terminal of `columns` and
 * leaves its cursor where it belongs: "\r\x1b[K", ... A line that is too long is shown in part.
 * Returns the length; EDIT_DRAWN_MAX bytes are enough. */
#define EDIT_DRAWN_MAX 256
size_t line_editor_draw(const struct line_editor *editor, const char *prompt, size_t columns,
                        char drawn[EDIT_DRAWN_MAX]);

#endif
