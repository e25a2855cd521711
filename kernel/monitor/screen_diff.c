/* SPDX-License-Identifier: MIT */
/* Cells into as few bytes as are easily found: the cursor moves over what is the same, unless
 * writing that again is shorter. */
#include "kernel/monitor/screen_diff.h"

#include <string.h>

#define NOWHERE UINT32_MAX
#define GAP_MAX 6 /* cells that are written again rather than passed by: a move is 6 to 8 bytes */
/* Bytes of one cell at most: a move, reverse video on or off, itself, and off at the end. */
#define CELL_MAX 16

_Static_assert(SCREEN_CELLS % 8 == 0, "compared eight at a time");

struct drawing {
    struct screen *shown;
    char *bytes;
    size_t used;
    uint32_t cursor;   /* the cell that it is on, or NOWHERE */
    uint8_t attribute; /* that is on */
};

void screen_clear(struct screen *screen)
{
    memset(screen->cells, ' ', sizeof screen->cells);
}

uint32_t screen_put(struct screen *screen, uint32_t row, uint32_t column, uint8_t attribute,
                    const char *text)
{
    if (row >= SCREEN_ROWS)
        return column;
    for (; *text && column < SCREEN_COLUMNS; text++, column++) {
        char c = *text >= ' ' && *text <= '~' ? *text : '?';
        screen->cells[row * SCREEN_COLUMNS + column] = (uint8_t)c | attribute;
    }
    return column;
}

static void write_cell(struct drawing *drawing, uint32_t at, uint8_t cell)
{
    drawing->bytes[drawing->used++] = (char)(cell & ~SCREEN_INVERSE);
    drawing->shown->cells[at] = cell;
    /* Behind the last column terminals differ. */
    drawing->cursor = (at + 1) % SCREEN_COLUMNS == 0 ? NOWHERE : at + 1;
}

static void write_escape(struct drawing *drawing, const char *escape)
{
    const size_t length = strlen(escape);
    memcpy(drawing->bytes + drawing->used, escape, length);
    drawing->used += length;
}

/* Of at most two digits. */
static void write_number(struct drawing *drawing, uint32_t number)
{
    if (number >= 10)
        drawing->bytes[drawing->used++] = (char)('0' + number / 10);
    drawing->bytes[drawing->used++] = (char)('0' + number % 10);
}

/* Is what lies before `at` better written again? */
static bool is_gap(const struct drawing *drawing, uint32_t at)
{
    if (drawing->cursor == NOWHERE || at - drawing->cursor > GAP_MAX ||
        drawing->cursor / SCREEN_COLUMNS != at / SCREEN_COLUMNS)
        return false;
    for (uint32_t i = drawing->cursor; i < at; i++)
        if ((drawing->shown->cells[i] & SCREEN_INVERSE) != drawing->attribute)
            return false;
    return true;
}

static void move_to(struct drawing *drawing, uint32_t at)
{
    if (is_gap(drawing, at)) {
        for (uint32_t i = drawing->cursor; i < at; i++)
            write_cell(drawing, i, drawing->shown->cells[i]);
        return;
    }
    write_escape(drawing, "\x1b[");
    write_number(drawing, at / SCREEN_COLUMNS + 1);
    write_escape(drawing, ";");
    write_number(drawing, at % SCREEN_COLUMNS + 1);
    write_escape(drawing, "H");
    drawing->cursor = at;
}

static void set_attribute(struct drawing *drawing, uint8_t attribute)
{
    if (drawing->attribute == attribute)
        return;
    write_escape(drawing, attribute ? "\x1b[7m" : "\x1b[m");
    drawing->attribute = attribute;
}

/* The first cell from `at` on that differs; what is the same is passed by eight at a time. */
static uint32_t next_difference(const struct screen *a, const struct screen *b, uint32_t at)
{
    uint64_t x, y;
    while (at < SCREEN_CELLS - 1) {
        memcpy(&x, a->cells + ALIGN_DOWN(at, sizeof x), sizeof x);
        memcpy(&y, b->cells + ALIGN_DOWN(at, sizeof y), sizeof y);
        if (x == y)
            at = (uint32_t)ALIGN_DOWN(at + sizeof x, sizeof x);
        else if (a->cells[at] == b->cells[at])
            at++;
        else
            return at;
    }
    return SCREEN_CELLS;
}

size_t screen_diff(struct screen *shown, const struct screen *wanted, uint32_t *at, char *bytes,
                   size_t size)
{
    struct drawing drawing = {.shown = shown, .bytes = bytes, .cursor = NOWHERE};
    uint32_t i = next_difference(shown, wanted, *at);
    while (i < SCREEN_CELLS && size - drawing.used >= CELL_MAX) {
        const uint8_t cell = wanted->cells[i];
        if (drawing.cursor != i)
            move_to(&drawing, i);
        set_attribute(&drawing, cell & SCREEN_INVERSE);
        write_cell(&drawing, i, cell);
        i = next_difference(shown, wanted, i + 1);
    }
    set_attribute(&drawing, 0);
    *at = i;
    return drawing.used;
}
