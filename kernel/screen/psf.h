/* SPDX-License-Identifier: MIT */
/* Console fonts of Linux: PSF version 1 and 2 (kbd's doc/font-formats). The file is input like any
 * other: nothing outside it is read. Pure: runs on the host in tests. */
#ifndef KERNEL_SCREEN_PSF_H
#define KERNEL_SCREEN_PSF_H

#include "kernel/lib/types.h"

#define PSF_WIDTH_MAX  32 /* pixels; fonts beyond these are refused */
#define PSF_HEIGHT_MAX 64

struct psf_font {
    uint32_t width, height;
    uint32_t row_bytes; /* a glyph's row: the leftmost pixel is the highest bit */
    uint32_t glyph_count;
    const uint8_t *glyphs; /* row_bytes * height bytes each */
    const uint8_t *table;  /* which characters a glyph stands for; NULL: the one of its number */
    size_t table_size;
    bool table_is_utf8; /* version 2; version 1 has 16-bit words */
};

/* Reads the font in `size` bytes at `file`, which must stay. Returns 0, or -EINVAL when it is none
 * or is cut short. */
MUST_CHECK int psf_parse(const void *file, size_t size, struct psf_font *font);

/* The glyph of an ASCII character, or NULL when the font has none. */
const uint8_t *psf_glyph(const struct psf_font *font, char character);

#endif
