/* SPDX-License-Identifier: MIT */
/* The screen from below to above: text in cells against a plain model, glyphs in every format of a
 * framebuffer pixel by pixel, and the sink with a log, a clock and video memory of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The machine's part, before the sources see it. */
#include "kernel/lib/x86.h"
static uint64_t now;
static unsigned ports_written;
#define rdtsc()           now
#define outb(port, value) ((void)(port), (void)(value), ports_written++)

#include "kernel/screen/cells.c"
#undef refuse
#include "kernel/screen/canvas.c"
#include "kernel/screen/screen.c"

/* ---- The log, memory and the font that the screen sees --------------------------------------- */

#define LINES_MAX 4096

static char lines[LINES_MAX][LOG_BUFFER];
static size_t lines_count; /* a reader's position is the number of a line */
static size_t passed_over; /* up to this line */
static unsigned jumps, reads;
static char last_info[LOG_BUFFER];

static void say(const char *text)
{
    assert_true(lines_count < LINES_MAX);
    snprintf(lines[lines_count++], LOG_BUFFER, "%s\r\n", text);
}

size_t log_read(struct log_reader *from, char to[LOG_BUFFER])
{
    if (from->position == lines_count)
        return 0;
    reads++;
    strcpy(to, lines[from->position]);
    return strlen(lines[from->position++]);
}

void log_reader_back(struct log_reader *from, uint64_t count)
{
    jumps++;
    from->position = lines_count - MIN(count, lines_count);
}

uint64_t log_pass_over(void)
{
    passed_over = lines_count;
    return 0;
}

void log_line(const char *subject, const char *format, ...)
{
    va_list args;
    (void)subject;
    va_start(args, format);
    vsnprintf(last_info, sizeof last_info, format, args);
    va_end(args);
}

uint64_t time_us_to_ticks(uint64_t microseconds)
{
    return microseconds;
}

static bool no_frames, no_mapping;
static void *frames;
static uint8_t *video;
static size_t video_size;

int frame_alloc(unsigned order, hpa_t *frame)
{
    if (no_frames)
        return -ENOMEM;
    free(frames);
    frames = calloc(1, PAGE_SIZE << order);
    assert_non_null(frames);
    *frame = virt_to_phys(frames);
    return 0;
}

volatile void *paging_map_video(hpa_t physical, size_t size)
{
    (void)physical;
    if (no_mapping)
        return NULL;
    free(video);
    video = malloc(size);
    assert_non_null(video);
    memset(video, 0xcc, size);
    video_size = size;
    return video;
}

/* A font of 8 times 4 pixels without a table: every glyph is another. */
#define FONT_HEIGHT 4
const uint8_t screen_font[4 + 256 * FONT_HEIGHT] = {0x36, 0x04, 0, FONT_HEIGHT};
const size_t screen_font_size = sizeof screen_font;
static struct psf_font font;

static int make_font(void **state)
{
    uint8_t *bytes = (uint8_t *)calloc(1, sizeof screen_font);
    (void)state;
    memcpy(bytes, screen_font, 4);
    for (size_t i = 4; i < sizeof screen_font; i++)
        bytes[i] = (uint8_t)(rand() | 0x81);
    for (unsigned c = 0; c < 256; c++)
        bytes[4 + c * FONT_HEIGHT] = (uint8_t)c;
    return psf_parse(bytes, sizeof screen_font, &font);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

#define COLUMNS 7
#define ROWS    4

static struct cells text;
static char text_memory[2 * COLUMNS * ROWS];

static void begin_text(void)
{
    memset(text_memory, 0x55, sizeof text_memory);
    cells_init(&text, COLUMNS, ROWS, text_memory);
}

static void put_string(const char *string)
{
    cells_put(&text, string, strlen(string));
}

/* The rows put together, each padded with blanks. */
static void text_is(const char *wanted)
{
    char all[COLUMNS * ROWS + 1];
    for (uint32_t row = 0; row < ROWS; row++)
        memcpy(all + (size_t)row * COLUMNS, cells_row(&text, row), COLUMNS);
    all[COLUMNS * ROWS] = 0;
    assert_string_equal(all, wanted);
}

static void test_text_fills_the_screen_and_scrolls(void **state)
{
    (void)state;
    begin_text();
    text_is("                            ");
    put_string("one\r\n");
    text_is("one                         ");
    put_string("two\r\nthree\r\nfour\r\n");
    text_is("one    two    three  four   ");
    put_string("5\r\n");
    text_is("two    three  four   5      ");
    put_string("6\n7\n8\n9\n");
    text_is("6      7      8      9      ");
}

static void test_long_lines_wrap(void **state)
{
    (void)state;
    begin_text();
    put_string("1234567\r\n"); /* as long as a row: no empty row behind it */
    put_string("a\r\n");
    text_is("1234567a                    ");
    put_string("1234567890123456789012");
    text_is("1234567  89012  34567  89012"); /* the last row is full of it */
    put_string("!\r\n");
    text_is("  89012  34567  89012  !    ");
}

static void test_a_line_may_come_in_pieces(void **state)
{
    (void)state;
    begin_text();
    put_string("ab");
    put_string("cd\r");
    put_string("\nef");
    put_string("");
    put_string("\n\n\n");
    text_is("abcd   ef                   ");
    put_string("x\n");
    text_is("ef                   x      ");
}

static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    begin_text();
    cells_put(&text, "a\0\x1b\t\x7f\xff~\n", 8);
    text_is("a?????~                     ");
}

/* Random text in random pieces against an array of all rows ever begun. */
static void test_any_text(void **state)
{
    static char all[20000][COLUMNS];
    size_t count = 0;
    uint32_t column = COLUMNS;
    bool open = false;

    (void)state;
    begin_text();
    for (int i = 0; i < 20000 && count < 19990; i++) {
        static const char alphabet[] = "abcdefgh \r\n";
        char c = alphabet[(unsigned)rand() % 11];
        cells_put(&text, &c, 1);
        if (c == '\n' ? !open : c != '\r' && (!open || column == COLUMNS)) {
            memset(all[count++], ' ', COLUMNS);
            column = open && c != '\n' ? CELLS_INDENT : 0;
        }
        if (c != '\n' && c != '\r')
            all[count - 1][column++] = c;
        if (c != '\r')
            open = c != '\n';
        size_t first = count > ROWS ? count - ROWS : 0;
        for (uint32_t row = 0; row < ROWS && first + row < count; row++)
            assert_memory_equal(cells_row(&text, row), all[first + row], COLUMNS);
    }
}

/* ---- Canvas ---------------------------------------------------------------------------------- */

static char error[CANVAS_ERROR_MAX];
static struct canvas drawn;

static struct boot_framebuffer rgb(uint32_t width, uint32_t height, uint8_t bits, uint32_t pitch)
{
    struct boot_framebuffer framebuffer = {
        .address = 0xfd000000,
        .pitch = pitch,
        .width = width,
        .height = height,
        .bits_per_pixel = bits,
        .type = 1,
        .red = {16, 8},
        .green = {8, 8},
        .blue = {0, 8},
    };
    if (bits <= 16) {
        framebuffer.red = (struct boot_colour){(uint8_t)(bits - 5), 5};
        framebuffer.green = (struct boot_colour){5, (uint8_t)(bits - 10)};
        framebuffer.blue = (struct boot_colour){0, 5};
    }
    return framebuffer;
}

static uint32_t pixel_at(const struct boot_framebuffer *framebuffer, uint32_t x, uint32_t y)
{
    uint32_t bytes = (framebuffer->bits_per_pixel + 7u) / 8, value = 0;
    memcpy(&value, video + (size_t)y * framebuffer->pitch + x * bytes, bytes);
    return value;
}

/* Draws every character somewhere and looks at every byte of the framebuffer. */
static void check_format(struct boot_framebuffer framebuffer, uint32_t scale, uint32_t light)
{
    uint32_t cell_width = 8 * scale, cell_height = FONT_HEIGHT * scale;
    if (canvas_init(&drawn, &framebuffer, &font, error))
        fail_msg("refused: %s", error);
    assert_int_equal(drawn.columns, framebuffer.width / cell_width);
    assert_int_equal(drawn.rows, framebuffer.height / cell_height);
    drawn.memory = paging_map_video(HPA(0), canvas_size(&framebuffer));
    canvas_clear(&drawn);

    static char wanted[128][512];
    memset(wanted, 0, sizeof wanted);
    for (uint32_t c = CANVAS_FIRST; c <= CANVAS_LAST; c++) {
        uint32_t column = (c * 7) % drawn.columns, row = (c * 7) / drawn.columns % drawn.rows;
        canvas_draw(&drawn, column, row, (char)c);
        wanted[row][column] = (char)c;
    }
    canvas_draw(&drawn, drawn.columns - 1, drawn.rows - 1, '#');
    wanted[drawn.rows - 1][drawn.columns - 1] = '#';

    for (uint32_t y = 0; y < framebuffer.height; y++) {
        for (uint32_t x = 0; x < framebuffer.width; x++) {
            uint32_t column = x / cell_width, row = y / cell_height;
            char c = column < drawn.columns && row < drawn.rows ? wanted[row][column] : 0;
            bool lit = c && psf_glyph(&font, c)[y / scale % FONT_HEIGHT] & 0x80 >> x / scale % 8;
            if (pixel_at(&framebuffer, x, y) != (lit ? light : 0))
                fail_msg("0x%x at %u,%u", pixel_at(&framebuffer, x, y), x, y);
        }
        uint32_t used = framebuffer.width * ((framebuffer.bits_per_pixel + 7u) / 8);
        for (uint32_t byte = used; byte < framebuffer.pitch; byte++)
            assert_int_equal(video[(size_t)y * framebuffer.pitch + byte], 0xcc);
    }
}

static void test_formats(void **state)
{
    (void)state;
    check_format(rgb(643, 202, 32, 643 * 4 + 13), 1, 0xaaaaaa);
    check_format(rgb(640, 200, 24, 640 * 3), 1, 0xaaaaaa);
    check_format(rgb(641, 201, 24, 641 * 3 + 1), 1, 0xaaaaaa);
    check_format(rgb(640, 200, 16, 640 * 2), 1, 20 << 11 | 42 << 5 | 20);
    check_format(rgb(645, 203, 15, 645 * 2 + 1), 1, 20 << 10 | 20 << 5 | 20);
    check_format(rgb(2048, 64, 32, 2048 * 4), 1, 0xaaaaaa);
    check_format(rgb(2049, 100, 32, 2049 * 4), 2, 0xaaaaaa);
    check_format(rgb(5000, 160, 24, 5000 * 3), 3, 0xaaaaaa);
    check_format(rgb(16384, 400, 32, 16384 * 4), 8, 0xaaaaaa);

    struct boot_framebuffer other = rgb(640, 200, 32, 640 * 4);
    other.red = (struct boot_colour){0, 10};
    other.green = (struct boot_colour){10, 10};
    other.blue = (struct boot_colour){31, 1};
    check_format(other, 1, 682 | 682 << 10); /* 0xaa of 0xff is 2/3: nothing of a single bit */
}

static void test_ega_text(void **state)
{
    struct boot_framebuffer framebuffer = {.address = 0xb8000,
                                           .pitch = 161,
                                           .width = 80,
                                           .height = 25,
                                           .bits_per_pixel = 16,
                                           .type = 2};

    (void)state;
    if (canvas_init(&drawn, &framebuffer, &font, error))
        fail_msg("refused: %s", error);
    assert_int_equal(drawn.columns, 80);
    assert_int_equal(drawn.rows, 25);
    drawn.memory = paging_map_video(HPA(0), canvas_size(&framebuffer));
    canvas_clear(&drawn);
    canvas_draw(&drawn, 79, 24, '~');
    canvas_draw(&drawn, 3, 1, 'x');
    for (uint32_t row = 0; row < 25; row++) {
        for (uint32_t column = 0; column < 80; column++) {
            char c = row == 24 && column == 79 ? '~' : row == 1 && column == 3 ? 'x' : ' ';
            assert_int_equal(video[row * 161 + column * 2], c);
            assert_int_equal(video[row * 161 + column * 2 + 1], 7);
        }
        assert_int_equal(video[row * 161 + 160], 0xcc);
    }
}

static void refuses(struct boot_framebuffer framebuffer, const char *reason)
{
    memset(error, 0, sizeof error);
    assert_int_equal(canvas_init(&drawn, &framebuffer, &font, error), -EINVAL);
    if (!strstr(error, reason))
        fail_msg("\"%s\" has no \"%s\"", error, reason);
}

static void test_framebuffers_that_cannot_be_used(void **state)
{
    struct boot_framebuffer odd;

    (void)state;
    refuses(rgb(0, 200, 32, 2560), "0 times 200");
    refuses(rgb(640, 0, 32, 2560), "640 times 0");
    refuses(rgb(16385, 200, 32, 70000), "16385 times 200");
    refuses(rgb(640, UINT32_MAX, 32, 2560), "up to 16384");
    refuses(rgb(640, 200, 8, 640), "8 bits a pixel");
    refuses(rgb(640, 200, 0, 640), "0 bits");
    refuses(rgb(640, 200, 64, 640 * 8), "64 bits");
    refuses(rgb(640, 200, 32, 640 * 4 - 1), "rows of 2559 bytes");
    refuses(rgb(640, 200, 32, 0), "rows of 0 bytes");
    refuses(rgb(640, 200, 32, UINT32_MAX), "rows of 4294967295 bytes");
    refuses(rgb(319, 200, 32, 319 * 4), "39 columns");
    refuses(rgb(640, 39, 32, 640 * 4), "9 rows");
    refuses(rgb(2048, 16384, 32, 2048 * 4), "256 columns and 4096 rows");
    for (int colour = 0; colour < 3; colour++) {
        static const struct boot_colour wrong[] = {{0, 0}, {25, 8}, {32, 1}, {255, 255}, {0, 17}};
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
            odd = rgb(640, 200, 32, 640 * 4);
            *(colour == 0 ? &odd.red : colour == 1 ? &odd.green : &odd.blue) = wrong[i];
            refuses(odd, "do not fit into 32 bits");
        }
    }
    odd = rgb(640, 200, 32, 640 * 4);
    odd.type = 0;
    refuses(odd, "indexed");
    odd.type = 3;
    refuses(odd, "type 3 (unknown)");
    odd = (struct boot_framebuffer){.pitch = 159, .width = 80, .height = 25, .type = 2};
    refuses(odd, "rows of 159 bytes");
    odd = (struct boot_framebuffer){.pitch = 32768, .width = 16384, .height = 25, .type = 2};
    refuses(odd, "16384 columns");
}

static void test_fonts_that_cannot_be_used(void **state)
{
    struct psf_font good = font;

    (void)state;
    font.glyph_count = '~';
    refuses(rgb(640, 200, 32, 640 * 4), "no glyph for character 0x7e");
    font = good;
    font.width = 6;
    refuses(rgb(640, 200, 32, 640 * 4), "6 pixels");
    font = good;
}

/* ---- The sink -------------------------------------------------------------------------------- */

static struct boot_info info;

/* A screen in EGA text: its characters can be read as they are. */
static void begin_screen(bool is_alone)
{
    memset(&info, 0, sizeof info);
    info.has_framebuffer = true;
    info.framebuffer = (struct boot_framebuffer){.address = 0xb8000,
                                                 .pitch = 160,
                                                 .width = 80,
                                                 .height = 25,
                                                 .bits_per_pixel = 16,
                                                 .type = 2};
    info.memory_count = 2;
    info.memory[0] = (struct boot_memory){{0, 0xa0000}, BOOT_MEMORY_AVAILABLE};
    info.memory[1] = (struct boot_memory){{0xa0000, 0x100000}, BOOT_MEMORY_RESERVED};
    lines_count = passed_over = jumps = reads = ports_written = 0;
    now = 1000000;
    phase = WAITING;
    pass_start = 0;
    line_size = 0;
    reader = (struct log_reader){0};
    no_frames = no_mapping = false;
    if (!screen_init(&info, is_alone))
        fail_msg("%s", last_info);
    now += PASS_US; /* it has shown the log so far */
    passed_over = 0;
}

static bool row_is(uint32_t row, const char *wanted)
{
    char shown[81];
    for (uint32_t column = 0; column < 80; column++)
        shown[column] = (char)video[row * 160 + column * 2];
    shown[80] = 0;
    return strncmp(shown, wanted, strlen(wanted)) == 0 &&
           strspn(shown + strlen(wanted), " ") == 80 - strlen(wanted);
}

static void rows_are(uint32_t first_row, unsigned first, unsigned last)
{
    char wanted[40];
    for (unsigned i = first; i <= last; i++) {
        snprintf(wanted, sizeof wanted, "line %u", i);
        if (!row_is(first_row + i - first, wanted))
            fail_msg("row %u is not \"%s\"", first_row + i - first, wanted);
    }
}

static void say_numbers(unsigned first, unsigned last)
{
    char number[40];
    for (unsigned i = first; i <= last; i++) {
        snprintf(number, sizeof number, "line %u", i);
        say(number);
    }
}

/* Calls until nothing is left: how often. */
static unsigned drain_all(void)
{
    for (unsigned calls = 1; calls < 1000; calls++) {
        if (screen_sink.drain())
            return calls;
        now += 1000;
    }
    fail_msg("it never ends");
    return 0;
}

static void test_lines_appear(void **state)
{
    (void)state;
    begin_screen(false);
    assert_true(strstr(last_info, "screen: EGA text of 80 times 25 at 0xb8000"));
    assert_int_equal(ports_written, 2); /* the cursor */
    assert_true(screen_sink.drain());
    assert_true(row_is(0, ""));
    say_numbers(0, 2);
    drain_all();
    rows_are(0, 0, 2);
    assert_true(row_is(3, ""));
    now += PASS_US;
    say_numbers(3, 26);
    drain_all();
    rows_are(0, 2, 26);
    assert_memory_equal(cells.shown, "line 2 ", 7); /* and will not be painted again */
    assert_int_equal(passed_over, 0);
}

static void test_passes_have_a_pause(void **state)
{
    (void)state;
    begin_screen(false);
    say_numbers(0, 0);
    while (!screen_sink.drain())
        continue;
    rows_are(0, 0, 0);
    say_numbers(1, 1);
    now += PASS_US - 1;
    for (int i = 0; i < 100; i++)
        assert_false(screen_sink.drain());
    assert_true(row_is(1, ""));
    now += 1;
    while (!screen_sink.drain())
        continue;
    rows_are(0, 0, 1);
    say_numbers(2, 2);
    now -= 100; /* another processor, whose TSC is behind that of the last pass */
    pass_start = now + 50;
    while (!screen_sink.drain())
        continue;
    rows_are(0, 0, 2);
}

static void test_the_newest_screenful(void **state)
{
    (void)state;
    begin_screen(false);
    say_numbers(0, 3000);
    drain_all();
    rows_are(0, 2976, 3000);
    assert_true(reads <= 2 * 25 + 2);
    assert_int_equal(jumps, 1);
    say_numbers(3001, 3025); /* exactly a screenful: nothing is skipped */
    drain_all();
    rows_are(0, 3001, 3025);
    say_numbers(3026, 3055); /* a little more: nothing is shown twice */
    drain_all();
    rows_are(0, 3031, 3055);
}

static void test_a_storm_of_lines(void **state)
{
    (void)state;
    begin_screen(false);
    for (unsigned i = 0; i < LINES_MAX / 2; i++) { /* new lines at every call */
        say_numbers(2 * i, 2 * i + 1);
        assert_false(screen_sink.drain());
        now += 1000;
        if (phase == WAITING && i > 100) /* just painted: what is there is not old */
            assert_false(row_is(24, ""));
    }
    drain_all();
    rows_are(0, LINES_MAX - 25, LINES_MAX - 1);
}

static void test_a_call_is_short(void **state)
{
    char full[81];

    (void)state;
    begin_screen(false);
    info.framebuffer = rgb(1024, 768, 32, 4096);
    info.framebuffer.address = 0xfd000000;
    assert_true(screen_init(&info, false));
    for (unsigned i = 0; i < 200; i++) {
        memset(full, 'a' + (int)(i % 26), 80);
        full[80] = 0;
        say(full);
    }
    uint32_t most = STEP_COST / canvas_draw_cost(&canvas) + 1;
    unsigned calls = 0, before = 0;
    static char was[2 * 128 * 192];
    memcpy(was, cells.shown, (size_t)cells.columns * cells.rows);
    bool done;
    do {
        unsigned painted = 0;
        before = reads;
        done = screen_sink.drain();
        for (uint32_t i = 0; i < cells.columns * cells.rows; i++)
            painted += was[i] != cells.shown[i];
        memcpy(was, cells.shown, (size_t)cells.columns * cells.rows);
        assert_true(painted <= most);
        assert_true(reads - before <= STEP_LINES + 1);
        now += 1000;
    } while (!done && ++calls < 10000);
    assert_true(done);
    assert_true(calls > 100);
}

static void test_alone_it_takes_the_lines(void **state)
{
    (void)state;
    begin_screen(true);
    say_numbers(0, 9);
    (void)screen_sink.drain();
    drain_all();
    assert_int_equal(passed_over, 10);
    say_numbers(10, 3000); /* too many to read them all: they are taken all the same */
    (void)drain_all();
    assert_int_equal(passed_over, 3001);
}

static void test_flush(void **state)
{
    (void)state;
    begin_screen(false);
    say_numbers(0, 2);
    (void)screen_sink.drain();
    say_numbers(3, 90);
    screen_sink.flush();
    rows_are(0, 66, 90);
    say_numbers(91, 91); /* and no pause */
    screen_sink.flush();
    rows_are(0, 67, 91);
    assert_true(screen_sink.drain());
}

static void test_panic(void **state)
{
    (void)state;
    begin_screen(false);
    say_numbers(0, 2);
    while (phase != PAINTING) /* the lines are read, none is painted */
        (void)screen_sink.drain();
    spin_lock(&lock); /* its holder was stopped */
    screen_sink.panic("panic: a\r\npanic: b\r\n", 20);
    spin_unlock(&lock);
    rows_are(0, 0, 2);
    assert_true(row_is(3, "panic: a"));
    assert_true(row_is(4, "panic: b"));
    for (unsigned i = 0; i < 30; i++)
        screen_sink.panic("x\r\n", 3);
    for (uint32_t row = 0; row < 25; row++)
        assert_true(row_is(row, "x"));
}

static void no_screen(const char *reason)
{
    last_info[0] = 0;
    assert_false(screen_init(&info, false));
    if (!strstr(last_info, "no screen: ") || !strstr(last_info, reason))
        fail_msg("\"%s\" has no \"%s\"", last_info, reason);
}

static void test_no_screen(void **state)
{
    (void)state;
    begin_screen(false);
    no_frames = true;
    no_screen("no memory");
    no_frames = false;
    no_mapping = true;
    no_screen("cannot be mapped");
    no_mapping = false;
    info.framebuffer.type = 0;
    no_screen("indexed");
    info.framebuffer.type = 2;

    info.framebuffer.address = 0;
    no_screen("address");
    info.framebuffer.address = UINT64_MAX - 160 * 25 + 1; /* ends at 2^64: wraps to 0 */
    no_screen("address");
    info.framebuffer.address = 0xa0000 - 1;
    no_screen("overlaps memory");
    info.memory[0].type = BOOT_MEMORY_ACPI_NVS;
    no_screen("overlaps memory");
    info.memory[0].range = (struct boot_range){0xa0000 + 160 * 25 - 2, 0xb0000};
    no_screen("overlaps memory");
    info.memory[0].range.start++;
    assert_true(screen_init(&info, false));

    info.has_framebuffer = false;
    no_screen("names none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_fills_the_screen_and_scrolls),
        cmocka_unit_test(test_long_lines_wrap),
        cmocka_unit_test(test_a_line_may_come_in_pieces),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_any_text),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_ega_text),
        cmocka_unit_test(test_framebuffers_that_cannot_be_used),
        cmocka_unit_test(test_fonts_that_cannot_be_used),
        cmocka_unit_test(test_lines_appear),
        cmocka_unit_test(test_passes_have_a_pause),
        cmocka_unit_test(test_the_newest_screenful),
        cmocka_unit_test(test_a_storm_of_lines),
        cmocka_unit_test(test_a_call_is_short),
        cmocka_unit_test(test_alone_it_takes_the_lines),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_panic),
        cmocka_unit_test(test_no_screen),
    };
    return cmocka_run_group_tests(tests, make_font, NULL);
}
