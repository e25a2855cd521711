/* SPDX-License-Identifier: MIT */
/* Console fonts: both versions, with and without a table, each bound of the header, and every
 * prefix of a good file in a block of exactly its size. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/screen/psf.h"

#define HEIGHT 3
#define NONE   SIZE_MAX

static uint8_t file[64 * KIB];
static size_t file_size;

static void put(const void *bytes, size_t size)
{
    assert_true(file_size + size <= sizeof file);
    memcpy(file + file_size, bytes, size);
    file_size += size;
}

static void put_u32(uint32_t value)
{
    put(&value, sizeof value);
}

static void poke_u32(size_t offset, uint32_t value)
{
    memcpy(file + offset, &value, sizeof value);
}

/* Glyph n is all bytes n % 251. */
static void put_glyphs(size_t count, size_t size)
{
    for (size_t glyph = 0; glyph < count; glyph++)
        for (size_t i = 0; i < size; i++)
            put(&(uint8_t){(uint8_t)(glyph % 251)}, 1);
}

static void build_1(uint8_t mode)
{
    file_size = 0;
    put("\x36\x04", 2);
    put(&mode, 1);
    put(&(uint8_t){HEIGHT}, 1);
    put_glyphs(mode & 1 ? 512 : 256, HEIGHT);
}

static void build_2(uint32_t count, uint32_t width, uint32_t flags)
{
    uint32_t size = (width + 7) / 8 * HEIGHT;
    file_size = 0;
    put_u32(0x864ab572);
    put_u32(0);
    put_u32(36); /* a header of four bytes more than is known */
    put_u32(flags);
    put_u32(count);
    put_u32(size);
    put_u32(HEIGHT);
    put_u32(width);
    put_u32(0);
    put_glyphs(count, size);
}

/* Parses the first `size` bytes, with nothing readable behind them, and looks up `character`.
 * Returns the number of its glyph, NONE without one, or an error. */
static int look_up(size_t size, char character, size_t *glyph)
{
    uint8_t *block = malloc(size + 1);
    struct psf_font font;

    assert_non_null(block);
    memcpy(block + 1, file, size); /* at an odd address */
    *glyph = NONE;
    int result = psf_parse(block + 1, size, &font);
    if (result == 0) {
        const uint8_t *bytes = psf_glyph(&font, character);
        if (bytes) {
            *glyph = (size_t)(bytes - font.glyphs) / (font.row_bytes * font.height);
            for (size_t i = 0; i < font.row_bytes * font.height; i++)
                assert_int_equal(bytes[i], *glyph % 251);
        }
    }
    free(block);
    return result;
}

static void check(char character, size_t wanted)
{
    size_t glyph;
    assert_int_equal(look_up(file_size, character, &glyph), 0);
    assert_int_equal(glyph, wanted);
}

static void refused(void)
{
    size_t glyph;
    assert_int_equal(look_up(file_size, 'A', &glyph), -EINVAL);
}

static void test_without_a_table_the_number_is_the_character(void **state)
{
    (void)state;
    build_1(0);
    check('A', 'A');
    check('\0', 0);
    check('\x7f', 0x7f);
    check((char)0x80, NONE);
    build_1(1);
    check('~', '~');
    build_2(0x60, 8, 0);
    check('A', 'A');
    check('_', 0x5f);
    check('`', NONE);
}

static void test_geometry(void **state)
{
    struct psf_font font;

    (void)state;
    build_1(1);
    assert_int_equal(psf_parse(file, file_size, &font), 0);
    assert_int_equal(font.width, 8);
    assert_int_equal(font.height, HEIGHT);
    assert_int_equal(font.row_bytes, 1);
    assert_int_equal(font.glyph_count, 512);
    build_2(7, 12, 0);
    assert_int_equal(psf_parse(file, file_size, &font), 0);
    assert_int_equal(font.width, 12);
    assert_int_equal(font.row_bytes, 2);
    assert_int_equal(font.glyph_count, 7);
}

static void test_table_of_version_1(void **state)
{
    static const uint16_t table[] = {
        'x',    0x2500, 0xffff,                /* glyph 0: two characters */
        0xffff,                                /* 1: none */
        0x00e4, 0xfffe, 'a',    0x308, 0xffff, /* 2: one, and a sequence that begins with another */
        'a',    0xffff,                        /* 3 */
        'z',                                   /* 4: the file ends here */
    };

    (void)state;
    for (uint8_t mode = 2; mode <= 4; mode += 2) { /* either bit says that there is a table */
        build_1(mode);
        put(table, sizeof table);
        check('x', 0);
        check('a', 3);
        check('z', 4);
        check('A', NONE);
    }
}

static void test_table_of_version_2(void **state)
{
    (void)state;
    build_2(5, 8, 1);
    put("x\xe2\x94\x80\xff\xff\xc3\xa4\xfe"
        "a\xcc\x88\xff"
        "a\xff"
        "z",
        16);
    check('x', 0);
    check('a', 3);
    check('z', 4);
    check('A', NONE);
}

/* A table with more ends than there are glyphs names no glyph behind the last one. */
static void test_a_table_longer_than_the_glyphs(void **state)
{
    (void)state;
    build_2(2, 8, 1);
    put("a\xff"
        "b\xff"
        "c\xff",
        6);
    check('b', 1);
    check('c', NONE);
}

static void test_every_prefix(void **state)
{
    size_t glyph;

    (void)state;
    build_1(2);
    size_t glyphs_end = file_size;
    put("a\0\xff\xff"
        "b\0\xff\xff",
        8);
    for (size_t size = 0; size <= file_size; size++)
        assert_int_equal(look_up(size, 'b', &glyph), size < glyphs_end ? -EINVAL : 0);
    build_2(2, 8, 1);
    glyphs_end = file_size;
    put("a\xff"
        "b\xff",
        4);
    for (size_t size = 0; size <= file_size; size++)
        assert_int_equal(look_up(size, 'b', &glyph), size < glyphs_end ? -EINVAL : 0);
}

static void test_headers_that_cannot_be_right(void **state)
{
    static const struct {
        size_t offset;
        uint32_t value;
    } wrong[] = {
        {0, 0x864ab573}, {8, 0xffffffff}, {8, 0x10000}, {16, 0x80000000}, {16, 0xffffffff},
        {20, 0},         {20, 4},         {24, 0},      {24, 65},         {24, 0xffffffff},
        {28, 0},         {28, 33},        {28, 9},      {28, 0xffffffff},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        build_2(7, 8, 1);
        poke_u32(wrong[i].offset, wrong[i].value);
        refused();
    }
    build_2(7, 40, 0); /* too wide, otherwise right */
    refused();
    build_2(70, 8, 0);
    poke_u32(16, 1);
    poke_u32(20, 65);
    poke_u32(24, 65);
    refused();
    build_2(7, 8, 0);
    poke_u32(16, 0x55555556); /* times 3 is 2 in 32 bits */
    refused();
    build_1(0);
    file[3] = 0;
    refused();
    file[3] = 65;
    refused();
    file[0] = 0x37;
    refused();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_table_the_number_is_the_character),
        cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_table_of_version_1),
        cmocka_unit_test(test_table_of_version_2),
        cmocka_unit_test(test_a_table_longer_than_the_glyphs),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_headers_that_cannot_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
