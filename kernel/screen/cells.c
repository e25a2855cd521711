/* SPDX-License-Identifier: MIT */
/* The screen's text. A new row is begun by the first byte of a line, not by the end of the one
 * before: the last row of the screen is never empty. */
#include "kernel/screen/cells.h"

#include <string.h>

void cells_init(struct cells *cells, uint32_t columns, uint32_t rows, char *memory)
{
    size_t size = (size_t)columns * rows;
    *cells =
        (struct cells){.columns = columns, .rows = rows, .wanted = memory, .shown = memory + size};
    memset(cells->wanted, ' ', size);
    memset(cells->shown, 0, size);
}

static void begin_row(struct cells *cells)
{
    if (cells->used < cells->rows)
        cells->used++;
    else
        cells->top = cells->top + 1 == cells->rows ? 0 : cells->top + 1;
    memset((char *)cells_row(cells, cells->used - 1), ' ', cells->columns);
    cells->column = 0;
}

/* What fits the row of a text that does not begin with a line's end, up to that. Returns its size.
 */
static size_t put_text(struct cells *cells, const char *bytes, size_t size)
{
    bool goes_on = cells->open && cells->column == cells->columns;
    if (!cells->open || goes_on)
        begin_row(cells);
    if (goes_on)
        cells->column = CELLS_INDENT;
    cells->open = true;
    char *row = (char *)cells_row(cells, cells->used - 1) + cells->column;
    size_t room = MIN(size, cells->columns - cells->column), i = 0;
    for (; i < room && bytes[i] != '\n' && bytes[i] != '\r'; i++)
        row[i] = bytes[i] >= 0x20 && bytes[i] <= 0x7e ? bytes[i] : '?';
    cells->column += (uint32_t)i;
    return i;
}

static void end_line(struct cells *cells)
{
    if (!cells->open)
        begin_row(cells); /* an empty line */
    cells->open = false;
}

void cells_put(struct cells *cells, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        bool ends = bytes[i] == '\n';
        if (ends)
            end_line(cells);
        i += ends || bytes[i] == '\r' ? 1 : put_text(cells, bytes + i, size - i);
    }
}
