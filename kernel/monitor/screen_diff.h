/* SPDX-License-Identifier: MIT */
/* A screen of 80x24 cells, and the bytes that make a terminal show another one (ECMA-48): what is
 * the same is not sent. Pure. */
#ifndef KERNEL_MONITOR_SCREEN_DIFF_H
#define KERNEL_MONITOR_SCREEN_DIFF_H

#include "kernel/lib/types.h"

#define SCREEN_ROWS    24
#define SCREEN_COLUMNS 80
#define SCREEN_CELLS   (SCREEN_ROWS * SCREEN_COLUMNS)
#define SCREEN_INVERSE 0x80 /* of a cell: in reverse video */

/* A character of ASCII a cell. The last cell is never drawn: some terminals scroll then. */
struct screen {
    uint8_t cells[SCREEN_CELLS];
};

/* Blanks, as a terminal is after "\x1b[2J". */
void screen_clear(struct screen *screen);

/* Writes `text` from a column on, at most to the end of the row. What is no printable ASCII becomes
 * '?'. `attribute`: 0 or SCREEN_INVERSE. Returns the column behind it. */
uint32_t screen_put(struct screen *screen, uint32_t row, uint32_t column, uint8_t attribute,
                    const char *text);

/* Writes at most `size` bytes that turn `shown`, from cell `*at` on, into `wanted`, and notes in
 * `shown` what was written. Returns how many; `*at` is SCREEN_CELLS when all is sent. The terminal
 * does not show reverse video before and after. `size` must be SCREEN_DIFF_MIN at least. */
#define SCREEN_DIFF_MIN 32
size_t screen_diff(struct screen *shown, const struct screen *wanted, uint32_t *at, char *bytes,
                   size_t size);

#endif
