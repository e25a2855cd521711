/* SPDX-License-Identifier: MIT */
/* The text that the screen is to show, and the text that it shows: two buffers of one byte a
 * character, so that only cells that differ are painted. Pure: runs on the host in tests. */
#ifndef KERNEL_SCREEN_CELLS_H
#define KERNEL_SCREEN_CELLS_H

#include "kernel/lib/types.h"

struct cells {
    uint32_t columns, rows;
    char *wanted; /* rows * columns; a ring of rows that starts at `top` */
    char *shown;  /* the same in the order of the screen; 0: not known */
    uint32_t top;
    uint32_t used;   /* rows with text: the screen fills from its top down, then it scrolls */
    uint32_t column; /* of the next character in the last row used */
    bool open;       /* the last line has no end yet */
};

/* Starts with an empty text of `columns` (more than CELLS_INDENT) times `rows` (not 0), and nothing
 * known of what is shown. `memory` has 2 * columns * rows bytes and must stay. */
void cells_init(struct cells *cells, uint32_t columns, uint32_t rows, char *memory);

/* Adds text. A line ends with "\n", and "\r" means nothing; a line that is too long goes on in the
 * next row, behind CELLS_INDENT blanks, so that what a guest wrote never stands at the beginning of
 * a row; a byte that is not printable ASCII appears as '?'. */
#define CELLS_INDENT 2
void cells_put(struct cells *cells, const char *bytes, size_t size);

/* The `columns` characters of row `row` on the screen. */
static inline const char *cells_row(const struct cells *cells, uint32_t row)
{
    uint32_t at = cells->top + row;
    if (at >= cells->rows)
        at -= cells->rows;
    return cells->wanted + (size_t)at * cells->columns;
}

#endif
