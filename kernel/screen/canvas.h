/* SPDX-License-Identifier: MIT */
/* Drawing characters into video memory: cells of EGA text, or glyphs in a linear framebuffer.
 * Pure: the memory may be any. */
#ifndef KERNEL_SCREEN_CANVAS_H
#define KERNEL_SCREEN_CANVAS_H

#include "kernel/screen/psf.h"
#include "kernel/boot_info.h"
#include "kernel/lib/types.h"

#define CANVAS_SCALE_MAX 8
#define CANVAS_ERROR_MAX 120

#define CANVAS_FIRST      ' ' /* the characters that can be drawn */
#define CANVAS_LAST       '~'
#define CANVAS_CHARACTERS (CANVAS_LAST - CANVAS_FIRST + 1)

struct canvas {
    volatile uint8_t *memory; /* the framebuffer, of canvas_size() bytes */
    uint32_t pitch, width, height;
    bool text; /* EGA text: width and height are in cells */
    uint32_t pixel_bytes;
    uint32_t scale; /* a pixel of the font is a square of so many pixels */
    uint32_t columns, rows;
    uint32_t glyph_quads, glyph_height; /* a glyph's width in fours of pixels, its height */
    uint32_t row_bytes;                 /* of a glyph */
    const uint8_t *glyphs[CANVAS_CHARACTERS];
    /* What four pixels of a glyph's row look like in the framebuffer, for all sixteen of them. */
    uint8_t patterns[16][4 * CANVAS_SCALE_MAX * 4];
};

/* Checks all that the boot loader says of the framebuffer but its address, and works out how text
 * is laid out in it. `font` is of no use to EGA text. Returns 0, or -EINVAL and one line in `error`
 * that says what cannot be used. `memory` is for the caller to set. */
MUST_CHECK int canvas_init(struct canvas *canvas, const struct boot_framebuffer *framebuffer,
                           const struct psf_font *font, char error[CANVAS_ERROR_MAX]);

/* The framebuffer's bytes. */
uint64_t canvas_size(const struct boot_framebuffer *framebuffer);

/* Everything black; of EGA text, blank. */
void canvas_clear(struct canvas *canvas);

/* Draws a character from CANVAS_FIRST to CANVAS_LAST into a cell of the canvas. */
void canvas_draw(struct canvas *canvas, uint32_t column, uint32_t row, char character);

/* About how many instructions canvas_draw takes. */
uint32_t canvas_draw_cost(const struct canvas *canvas);

#endif
