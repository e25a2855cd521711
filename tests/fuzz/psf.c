/* SPDX-License-Identifier: MIT */
/* Any bytes as a font of the screen: what is accepted lies within the file, and so does each glyph
 * that it gives. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "kernel/screen/psf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = exact_copy(data, size);
    struct psf_font font;

    int result = psf_parse(file, size, &font);
    require(result == 0 || result == -EINVAL, "a result of its own");
    if (result == 0) {
        size_t glyph_size = (size_t)font.row_bytes * font.height;
        size_t room = size - (size_t)(font.glyphs - file);
        require(font.width >= 1 && font.width <= PSF_WIDTH_MAX, "the width");
        require(font.height >= 1 && font.height <= PSF_HEIGHT_MAX, "the height");
        require(font.row_bytes == (font.width + 7) / 8, "the bytes of a row");
        require(font.glyphs >= file && font.glyphs <= file + size, "glyphs elsewhere");
        require(font.glyph_count <= room / glyph_size, "glyphs behind the end");
        require(!font.table || font.table + font.table_size == file + size, "the table");
        for (int c = -128; c < 128; c++) {
            const uint8_t *glyph = psf_glyph(&font, (char)c);
            require(!glyph || c >= 0, "a glyph of no ASCII character");
            if (glyph)
                require(glyph >= font.glyphs && (size_t)(glyph - font.glyphs) % glyph_size == 0 &&
                            (size_t)(glyph - font.glyphs) / glyph_size < font.glyph_count,
                        "no glyph of the font");
        }
    }
    free(file);
    return 0;
}
