/* SPDX-License-Identifier: MIT */
/* PSF fonts. Version 1 has a header of 4 bytes and is always 8 pixels wide, version 2 says it all.
 * Behind the glyphs may stand a table: for each glyph the characters that it stands for, then
 * sequences of characters, each behind a mark of its own, then the end mark. */
#include "kernel/screen/psf.h"

#include <linux/errno.h>

#include "kernel/lib/unaligned.h"

#define PSF1_MAGIC      0x0436
#define PSF1_HEADER     4
#define PSF1_512_GLYPHS BIT(0) /* of its mode */
#define PSF1_TABLE      (BIT(1) | BIT(2))
#define PSF1_SEQUENCE   0xfffe
#define PSF1_END        0xffff

#define PSF2_MAGIC    0x864ab572u
#define PSF2_HEADER   32
#define PSF2_TABLE    BIT(0) /* of its flags */
#define PSF2_SEQUENCE 0xfe
#define PSF2_END      0xff

struct layout { /* what a header says */
    uint32_t header_size;
    uint32_t glyph_count, glyph_size;
    uint32_t width, height;
    bool has_table, table_is_utf8;
};

static void read_version_1(const uint8_t *file, struct layout *layout)
{
    *layout = (struct layout){
        .header_size = PSF1_HEADER,
        .glyph_count = file[2] & PSF1_512_GLYPHS ? 512 : 256,
        .glyph_size = file[3],
        .width = 8,
        .height = file[3],
        .has_table = file[2] & PSF1_TABLE,
    };
}

static void read_version_2(const uint8_t *file, struct layout *layout)
{
    *layout = (struct layout){
        .header_size = load_u32(file + 8),
        .glyph_count = load_u32(file + 16),
        .glyph_size = load_u32(file + 20),
        .height = load_u32(file + 24),
        .width = load_u32(file + 28),
        .has_table = load_u32(file + 12) & PSF2_TABLE,
        .table_is_utf8 = true,
    };
}

static bool read_header(const uint8_t *file, size_t size, struct layout *layout)
{
    if (size >= PSF2_HEADER && load_u32(file) == PSF2_MAGIC)
        read_version_2(file, layout);
    else if (size >= PSF1_HEADER && load_u16(file) == PSF1_MAGIC)
        read_version_1(file, layout);
    else
        return false;
    return true;
}

int psf_parse(const void *file, size_t size, struct psf_font *font)
{
    struct layout layout;
    if (!read_header(file, size, &layout))
        return -EINVAL;
    if (layout.width == 0 || layout.width > PSF_WIDTH_MAX || layout.height == 0 ||
        layout.height > PSF_HEIGHT_MAX)
        return -EINVAL;
    uint32_t row_bytes = (layout.width + 7) / 8;
    uint64_t glyphs = (uint64_t)layout.glyph_count * layout.glyph_size;
    if (layout.glyph_size != row_bytes * layout.height || layout.header_size > size ||
        glyphs > size - layout.header_size)
        return -EINVAL;

    *font = (struct psf_font){
        .width = layout.width,
        .height = layout.height,
        .row_bytes = row_bytes,
        .glyph_count = layout.glyph_count,
        .glyphs = (const uint8_t *)file + layout.header_size,
        .table_is_utf8 = layout.table_is_utf8,
    };
    if (layout.has_table) {
        font->table = font->glyphs + glyphs;
        font->table_size = size - layout.header_size - glyphs;
    }
    return 0;
}

/* One item of the table at `*offset`, which moves behind it; the table ends as if by end marks. */
static uint32_t next_item(const struct psf_font *font, size_t *offset)
{
    size_t size = font->table_is_utf8 ? 1 : 2;
    if (font->table_size - *offset < size)
        return font->table_is_utf8 ? PSF2_END : PSF1_END;
    const uint8_t *item = font->table + *offset;
    *offset += size;
    return font->table_is_utf8 ? *item : load_u16(item);
}

/* In UTF-8 a byte below 0x80 is always a character of its own: ASCII needs no decoding. */
static bool find_in_table(const struct psf_font *font, uint32_t character, uint32_t *glyph)
{
    uint32_t end = font->table_is_utf8 ? PSF2_END : PSF1_END;
    uint32_t sequence = font->table_is_utf8 ? PSF2_SEQUENCE : PSF1_SEQUENCE;
    size_t offset = 0;
    for (*glyph = 0; *glyph < font->glyph_count && offset < font->table_size; ++*glyph) {
        bool in_sequence = false;
        uint32_t item;
        while ((item = next_item(font, &offset)) != end) {
            in_sequence = in_sequence || item == sequence;
            if (item == character && !in_sequence)
                return true;
        }
    }
    return false;
}

const uint8_t *psf_glyph(const struct psf_font *font, char character)
{
    uint32_t glyph = (unsigned char)character;
    if (glyph > 0x7f)
        return NULL;
    if (font->table ? !find_in_table(font, glyph, &glyph) : glyph >= font->glyph_count)
        return NULL;
    return font->glyphs + (size_t)glyph * font->row_bytes * font->height;
}
