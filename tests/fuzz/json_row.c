/* SPDX-License-Identifier: MIT */
/* Any bytes as the text of a row: the JSON is one line of RFC 8259, all ASCII, that says the text;
 * the line of the table has only printable bytes and no blank at its end. */
#include "tests/fuzz/require.h"

#include <string.h>

#include "kernel/monitor/output.h"

struct line {
    char *bytes;
    size_t size, room;
};

static void put(void *context, const char *bytes, size_t size)
{
    struct line *line = context;

    require(size <= line->room - line->size, "a line longer than it can be");
    memcpy(line->bytes + line->size, bytes, size);
    line->size += size;
}

static void write_row(struct line *line, const char *text, bool json)
{
    static const struct column columns[] = {{"TEXT", "text", 0}};
    struct output out = {.put = put, .context = line, .json = json};

    line->size = 0;
    row_begin(&out, columns, ARRAY_SIZE(columns));
    row_text(&out, text);
    row_end(&out);
}

static uint32_t read_unit(const char **at)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t unit = 0;

    for (int i = 0; i < 4; i++) {
        const char *digit = **at ? strchr(digits, *(*at)++) : NULL;
        require(digit, "JSON: no hexadecimal digit");
        unit = unit << 4 | (uint32_t)(digit - digits);
    }
    return unit;
}

/* A character of a JSON string. */
static uint32_t read_character(const char **at)
{
    char c = *(*at)++;

    require(c >= ' ' && c <= '~', "JSON: no printable ASCII");
    require(c != '"', "JSON: a quote inside the string");
    if (c != '\\')
        return (uint32_t)c;
    c = *(*at)++;
    if (c == '"' || c == '\\')
        return (uint32_t)c;
    require(c == 'u', "JSON: an escape that is none");
    uint32_t unit = read_unit(at);
    if (unit >> 10 != 0xd800 >> 10) {
        require(unit >> 10 != 0xdc00 >> 10, "JSON: the second surrogate alone");
        return unit;
    }
    require((*at)[0] == '\\' && (*at)[1] == 'u', "JSON: the first surrogate alone");
    *at += 2;
    uint32_t second = read_unit(at);
    require(second >> 10 == 0xdc00 >> 10, "JSON: two first surrogates");
    return 0x10000 + ((unit & 0x3ff) << 10 | (second & 0x3ff));
}

/* RFC 3629. */
static size_t encode(uint32_t character, char bytes[4])
{
    static const uint32_t limits[] = {0x80, 0x800, 0x10000};
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    size_t more = 0;

    while (more < 3 && character >= limits[more])
        more++;
    for (size_t i = more; i > 0; i--, character >>= 6)
        bytes[i] = (char)(0x80 | (character & 0x3f));
    bytes[0] = (char)(leads[more] | character);
    return 1 + more;
}

/* How many bytes of the text the character stands for: its UTF-8, or one of Latin-1. */
static size_t size_in_text(const char *text, uint32_t character)
{
    char bytes[4];
    size_t size = encode(character, bytes);

    if (strncmp(text, bytes, size) == 0)
        return size;
    require(character == (uint8_t)*text, "JSON: another character than in the text");
    return 1;
}

static void check_json(const struct line *line, const char *text)
{
    static const char head[] = "{\"text\":\"", tail[] = "\"}\n";
    size_t around = strlen(head) + strlen(tail);

    require(line->size >= around && memcmp(line->bytes, head, strlen(head)) == 0, "JSON: begin");
    require(memcmp(line->bytes + line->size - strlen(tail), tail, strlen(tail)) == 0, "JSON: end");
    const char *end = line->bytes + line->size - strlen(tail);
    for (const char *at = line->bytes + strlen(head); at < end;) {
        uint32_t character = read_character(&at);
        require(*text != '\0' && at <= end, "JSON: more than the text");
        text += size_in_text(text, character);
    }
    require(*text == '\0', "JSON: less than the text");
}

static void check_table(const struct line *line, const char *text)
{
    size_t length = strlen(text);

    while (length > 0 && text[length - 1] == ' ')
        length--;
    require(line->size == length + 1 && line->bytes[length] == '\n', "table: another length");
    for (size_t i = 0; i < length; i++) {
        bool printable = text[i] >= ' ' && text[i] <= '~';
        require(line->bytes[i] == (printable ? text[i] : '?'), "table: another byte");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line line = {.room = 6 * size + 32};
    char *text = malloc(size + 1);

    line.bytes = malloc(line.room);
    require(text && line.bytes, "memory");
    memcpy(text, data, size);
    text[size] = '\0';
    write_row(&line, text, true);
    check_json(&line, text);
    write_row(&line, text, false);
    check_table(&line, text);
    free(line.bytes);
    free(text);
    return 0;
}
