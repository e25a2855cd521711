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

static void put_character(struct cells *cells, char c)
{
    bool goes_on = cells->open && cells->column == cells->columns;
    if (!cells->open || goes_on)
        begin_row(cells);
    if (goes_on)
        cells->column = CELLS_INDENT;
    cells->open = true;
    char *row = (char *)cells_row(cells, cells->used - 1);
    row[cells->column++] = c >= 0x20 && c <= 0x7e ? c : '?';
}

static void end_line(struct cells *cells)
{
    if (!cells->open)
        begin_row(cells); /* an empty line */
    cells->open = false;
}

void cells_put(struct cells *cells, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            end_line(cells);
        else if (bytes[i] != '\r')
            put_character(cells, bytes[i]);
    }
}
