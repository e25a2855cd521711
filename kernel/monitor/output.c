/* SPDX-License-Identifier: MIT */
/* Rows as a table or as JSON. Both are written in runs of bytes, straight from where the text
 * stands. JSON is all ASCII: what is shown on a terminal cannot be a control sequence in it,
 * whether the terminal reads UTF-8 or Latin-1. */
#include "kernel/monitor/output.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/lib/format.h"

#define NUMBER_MAX 24 /* holds any number with its prefix or unit, and the NUL */

static void put_text(struct output *out, const char *text)
{
    out->put(out->context, text, strlen(text));
}

void output_text(struct output *out, const char *format, ...)
{
    char line[OUTPUT_LINE_MAX];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length < 0)
        return;
    if ((size_t)length >= sizeof(line)) {
        length = sizeof(line) - 1;
        line[length - 1] = '\n'; /* also a line that is cut has an end */
    }
    out->put(out->context, line, (size_t)length);
}

/* ---- JSON */

/* The code point at the beginning of `text`, whose NUL ends it, with its size: RFC 3629, or one
 * byte of Latin-1. */
static uint32_t read_code_point(const uint8_t *text, size_t *size)
{
    uint8_t lead = text[0];

    *size = 1;
    if (lead < 0xc2 || lead > 0xf4)
        return lead;

    size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    uint32_t code_point = lead & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return lead;
        code_point = code_point << 6 | (text[i] & 0x3f);
    }

    /* The shortest form only, and no surrogates. */
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code_point < least[more] || code_point > 0x10ffff || code_point >> 11 == 0xd800 >> 11)
        return lead;
    *size = 1 + more;
    return code_point;
}

static void put_code_unit(struct output *out, uint32_t unit)
{
    char escaped[sizeof("\\uXXXX")];

    snprintf(escaped, sizeof(escaped), "\\u%04x", unit);
    put_text(out, escaped);
}

static void put_escaped(struct output *out, uint32_t code_point)
{
    if (code_point == '"' || code_point == '\\') {
        const char escaped[] = {'\\', (char)code_point};
        out->put(out->context, escaped, sizeof(escaped));
    } else if (code_point < 0x10000) {
        put_code_unit(out, code_point);
    } else { /* UTF-16's pair of surrogates */
        put_code_unit(out, 0xd800 | (code_point - 0x10000) >> 10);
        put_code_unit(out, 0xdc00 | (code_point & 0x3ff));
    }
}

static bool stands_for_itself(uint8_t byte)
{
    return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
}

static void put_json_string(struct output *out, const char *text)
{
    put_text(out, "\"");
    while (*text) {
        size_t size = 0;
        while (stands_for_itself((uint8_t)text[size]))
            size++;
        if (size > 0)
            out->put(out->context, text, size);
        else
            put_escaped(out, read_code_point((const uint8_t *)text, &size));
        text += size;
    }
    put_text(out, "\"");
}

/* ---- The table */

/* Blanks are written when something visible follows them. */
static void put_blanks(struct output *out)
{
    static const char blanks[] = "                                ";

    while (out->blanks > 0) {
        size_t size = MIN(out->blanks, sizeof(blanks) - 1);
        out->put(out->context, blanks, size);
        out->blanks -= size;
    }
}

static bool is_visible(char c)
{
    return c > ' ' && c <= '~';
}

static void put_visible(struct output *out, const char *text)
{
    while (*text) {
        size_t size = 0;
        while (is_visible(text[size]))
            size++;
        if (size == 0 && *text == ' ') {
            out->blanks++;
            text++;
            continue;
        }
        put_blanks(out);
        if (size > 0)
            out->put(out->context, text, size);
        else
            out->put(out->context, "?", 1);
        text += MAX(size, 1u);
    }
}

static void put_cell(struct output *out, const struct column *column, const char *text)
{
    bool left = column->width < 0;
    size_t width = (size_t)(left ? -column->width : column->width);
    size_t length = strlen(text);
    size_t padding = width > length ? width - length : 0;

    if (!left)
        out->blanks += padding;
    put_visible(out, text);
    if (left)
        out->blanks += padding;
}

static void end_line(struct output *out)
{
    out->blanks = 0;
    put_text(out, "\n");
}

void output_header(struct output *out, const struct column *columns, size_t count)
{
    if (out->json)
        return;
    out->blanks = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            out->blanks++;
        put_cell(out, &columns[i], columns[i].title);
    }
    end_line(out);
}

/* ---- Rows */

void row_begin(struct output *out, const struct column *columns, size_t count)
{
    out->columns = columns;
    out->count = count;
    out->next = 0;
    out->blanks = 0;
    if (out->json)
        put_text(out, "{");
}

/* What stands before the next cell. NULL: the row has all its cells. */
static const struct column *begin_cell(struct output *out)
{
    if (out->next >= out->count)
        return NULL;
    const struct column *column = &out->columns[out->next];
    bool first = out->next++ == 0;

    if (out->json) {
        if (!first)
            put_text(out, ",");
        put_json_string(out, column->key);
        put_text(out, ":");
    } else if (!first) {
        out->blanks++;
    }
    return column;
}

/* A cell whose JSON is no string. */
static void put_value(struct output *out, const char *shown, const char *json)
{
    const struct column *column = begin_cell(out);

    if (!column)
        return;
    if (out->json)
        put_text(out, json);
    else
        put_cell(out, column, shown);
}

void row_text(struct output *out, const char *text)
{
    const struct column *column = begin_cell(out);

    if (!column)
        return;
    if (out->json)
        put_json_string(out, text);
    else
        put_cell(out, column, text);
}

void row_number(struct output *out, uint64_t number)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    put_value(out, text, text);
}

void row_hex(struct output *out, uint64_t number)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof(text), "0x%llx", (unsigned long long)number);
    row_text(out, text);
}

/* In the largest unit that divides it: exact, and a word that the monitor reads again. */
void row_size(struct output *out, uint64_t bytes)
{
    static const char units[] = {'K', 'M', 'G'};
    char json[NUMBER_MAX], shown[NUMBER_MAX];
    uint64_t number = bytes;
    size_t unit = 0;

    while (unit < sizeof(units) && number > 0 && number % KIB == 0) {
        number /= KIB;
        unit++;
    }
    snprintf(json, sizeof(json), "%llu", (unsigned long long)bytes);
    snprintf(shown, sizeof(shown), "%llu%.*s", (unsigned long long)number, unit > 0,
             &units[unit > 0 ? unit - 1 : 0]);
    put_value(out, shown, json);
}

void row_permille(struct output *out, uint64_t permille)
{
    unsigned long long percent = permille / 10, tenths = permille % 10;
    char json[NUMBER_MAX], shown[NUMBER_MAX];

    snprintf(json, sizeof(json), "%llu.%llu", percent, tenths);
    snprintf(shown, sizeof(shown), "%llu.%llu%%", percent, tenths);
    put_value(out, shown, json);
}

void row_none(struct output *out)
{
    put_value(out, "-", "null");
}

void row_end(struct output *out)
{
    if (out->json)
        put_text(out, "}");
    out->count = 0; /* no cell behind the end */
    end_line(out);
}
