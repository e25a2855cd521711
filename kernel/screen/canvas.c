/* SPDX-License-Identifier: MIT */
/* Video memory is slow: it is only written, each byte once, in words of eight bytes where they fit.
 * Four pixels of a glyph's row are looked up ready for the framebuffer, whatever its format. */
#include "kernel/screen/canvas.h"

#include <linux/errno.h>

#include "kernel/lib/format.h"

enum framebuffer_type { /* Multiboot2 Specification 2.0, 3.6.12 */
                        INDEXED = 0,
                        RGB = 1,
                        EGA_TEXT = 2,
};

#define SIDE_MAX     16384 /* pixels, of the display's width and height */
#define COLUMNS_MIN  40
#define ROWS_MIN     10
#define CELLS_MAX    (64 * KIB)
#define SCALED_WIDTH 2048 /* a display gets one more pixel a dot for each of these pixels */
#define GREY         0xaa /* of 0xff; the light grey of the text mode */
#define EGA_GREY     0x07
#define EGA_CELL     2 /* bytes: the character, then its colours */

/* At any address: the pitch need not be even. */
typedef uint64_t __attribute__((aligned(1), may_alias)) video_word;
typedef uint16_t __attribute__((aligned(1), may_alias)) video_cell;

#define refuse(error, ...) (snprintf(error, CANVAS_ERROR_MAX, __VA_ARGS__), -EINVAL)

uint64_t canvas_size(const struct boot_framebuffer *framebuffer)
{
    return (uint64_t)framebuffer->pitch * framebuffer->height;
}

static int init_text(struct canvas *canvas, const struct boot_framebuffer *framebuffer)
{
    canvas->text = true;
    canvas->pixel_bytes = EGA_CELL;
    canvas->columns = framebuffer->width;
    canvas->rows = framebuffer->height;
    return 0;
}

static bool colour_fits(struct boot_colour colour, uint32_t bits)
{
    return colour.size >= 1 && colour.size <= 16 && (uint32_t)colour.position + colour.size <= bits;
}

static uint32_t grey_of(struct boot_colour colour)
{
    return (uint32_t)((GREY * (BIT(colour.size) - 1) / 0xff) << colour.position);
}

static void make_patterns(struct canvas *canvas, uint32_t pixel)
{
    for (uint32_t pattern = 0; pattern < 16; pattern++)
        for (uint32_t x = 0; x < 4 * canvas->scale; x++)
            for (uint32_t byte = 0; byte < canvas->pixel_bytes; byte++)
                canvas->patterns[pattern][x * canvas->pixel_bytes + byte] =
                    pattern & 8 >> x / canvas->scale ? (uint8_t)(pixel >> 8 * byte) : 0;
}

static int init_rgb(struct canvas *canvas, const struct boot_framebuffer *framebuffer,
                    char error[CANVAS_ERROR_MAX])
{
    uint32_t bits = framebuffer->bits_per_pixel;
    if (bits != 15 && bits != 16 && bits != 24 && bits != 32)
        return refuse(error, "%u bits a pixel; 15, 16, 24 and 32 are known", bits);
    struct boot_colour red = framebuffer->red, green = framebuffer->green, blue = framebuffer->blue;
    if (!colour_fits(red, bits) || !colour_fits(green, bits) || !colour_fits(blue, bits))
        return refuse(error, "red %u+%u green %u+%u blue %u+%u do not fit into %u bits",
                      red.position, red.size, green.position, green.size, blue.position, blue.size,
                      bits);
    canvas->pixel_bytes = (bits + 7) / 8;
    canvas->scale = 1 + (framebuffer->width - 1) / SCALED_WIDTH;
    make_patterns(canvas, grey_of(red) | grey_of(green) | grey_of(blue));
    return 0;
}

static int use_font(struct canvas *canvas, const struct psf_font *font,
                    char error[CANVAS_ERROR_MAX])
{
    if (font->width % 4 != 0)
        return refuse(error, "a font of %u pixels width, no multiple of 4", font->width);
    for (uint32_t i = 0; i < CANVAS_CHARACTERS; i++) {
        canvas->glyphs[i] = psf_glyph(font, (char)(CANVAS_FIRST + i));
        if (!canvas->glyphs[i])
            return refuse(error, "the font has no glyph for character 0x%x", CANVAS_FIRST + i);
    }
    canvas->glyph_quads = font->width / 4;
    canvas->glyph_height = font->height;
    canvas->row_bytes = font->row_bytes;
    canvas->columns = canvas->width / (font->width * canvas->scale);
    canvas->rows = canvas->height / (font->height * canvas->scale);
    return 0;
}

int canvas_init(struct canvas *canvas, const struct boot_framebuffer *framebuffer,
                const struct psf_font *font, char error[CANVAS_ERROR_MAX])
{
    *canvas = (struct canvas){
        .pitch = framebuffer->pitch, .width = framebuffer->width, .height = framebuffer->height};
    if (canvas->width == 0 || canvas->width > SIDE_MAX || canvas->height == 0 ||
        canvas->height > SIDE_MAX)
        return refuse(error, "%u times %u; up to %u times %u is known", canvas->width,
                      canvas->height, SIDE_MAX, SIDE_MAX);

    int status;
    if (framebuffer->type == EGA_TEXT)
        status = init_text(canvas, framebuffer);
    else if (framebuffer->type == RGB)
        status = init_rgb(canvas, framebuffer, error);
    else
        status = refuse(error, "type %u (%s); EGA text and RGB are known", framebuffer->type,
                        framebuffer->type == INDEXED ? "indexed colours" : "unknown");
    if (status == 0 && !canvas->text)
        status = use_font(canvas, font, error);
    if (status)
        return status;

    if (canvas->pitch < canvas->width * canvas->pixel_bytes || canvas->pitch > 8 * SIDE_MAX)
        return refuse(error, "rows of %u bytes for %u times %u", canvas->pitch, canvas->width,
                      canvas->pixel_bytes);
    if (canvas->columns < COLUMNS_MIN || canvas->rows < ROWS_MIN ||
        (uint64_t)canvas->columns * canvas->rows > CELLS_MAX)
        return refuse(error, "%u times %u, which gives %u columns and %u rows of text",
                      canvas->width, canvas->height, canvas->columns, canvas->rows);
    return 0;
}

/* `size` is a multiple of 4. */
static void copy_out(volatile uint8_t *to, const uint8_t *from, uint32_t size)
{
    for (; size >= 8; size -= 8, to += 8, from += 8)
        *(volatile video_word *)to = *(const video_word *)from;
    for (; size > 0; size--)
        *to++ = *from++;
}

static void fill(volatile uint8_t *to, uint64_t word, uint32_t size)
{
    for (; size >= 8; size -= 8, to += 8)
        *(volatile video_word *)to = word;
    for (; size > 0; size--, word >>= 8)
        *to++ = (uint8_t)word;
}

void canvas_clear(struct canvas *canvas)
{
    uint64_t blank = canvas->text ? 0x0001000100010001 * (EGA_GREY << 8 | ' ') : 0;
    for (uint32_t y = 0; y < canvas->height; y++)
        fill(canvas->memory + (size_t)y * canvas->pitch, blank,
             canvas->width * canvas->pixel_bytes);
}

static void draw_glyph(struct canvas *canvas, volatile uint8_t *to, const uint8_t *glyph)
{
    uint32_t quad_bytes = 4 * canvas->scale * canvas->pixel_bytes;
    for (uint32_t y = 0; y < canvas->glyph_height; y++, glyph += canvas->row_bytes)
        for (uint32_t copy = 0; copy < canvas->scale; copy++, to += canvas->pitch)
            for (uint32_t quad = 0; quad < canvas->glyph_quads; quad++) {
                uint32_t bits = glyph[quad / 2] >> (quad % 2 ? 0 : 4) & 15;
                copy_out(to + quad * quad_bytes, canvas->patterns[bits], quad_bytes);
            }
}

void canvas_draw(struct canvas *canvas, uint32_t column, uint32_t row, char character)
{
    volatile uint8_t *memory = canvas->memory;
    if (canvas->text) {
        memory += (size_t)row * canvas->pitch + column * EGA_CELL;
        *(volatile video_cell *)memory = (uint16_t)(EGA_GREY << 8 | character);
        return;
    }
    memory += (size_t)row * canvas->glyph_height * canvas->scale * canvas->pitch;
    memory += (size_t)column * canvas->glyph_quads * 4 * canvas->scale * canvas->pixel_bytes;
    draw_glyph(canvas, memory, canvas->glyphs[character - CANVAS_FIRST]);
}

uint32_t canvas_draw_cost(const struct canvas *canvas)
{
    if (canvas->text)
        return 10;
    uint32_t words = (4 * canvas->scale * canvas->pixel_bytes + 7) / 8;
    return canvas->glyph_height * canvas->scale * canvas->glyph_quads * (10 + 5 * words);
}
