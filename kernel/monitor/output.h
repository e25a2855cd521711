/* SPDX-License-Identifier: MIT */
/* What a command writes: lines of text, or rows that appear as an aligned table or, with -j, as one
 * JSON object a line. A row is written once for both:
 *
 *     static const struct column columns[] = {
 *         {"NAME", "name", -16}, {"VCPUS", "vcpus", 5}, {"STATE", "state", -10}};
 *
 *     output_header(out, columns, ARRAY_SIZE(columns));    nothing with -j
 *     row_begin(out, columns, ARRAY_SIZE(columns));
 *     row_text(out, vm->config.name);
 *     row_number(out, vm->config.vcpus);
 *     row_text(out, "running");
 *     row_end(out);
 *
 * Pure. */
#ifndef KERNEL_MONITOR_OUTPUT_H
#define KERNEL_MONITOR_OUTPUT_H

#include "kernel/lib/types.h"

#define OUTPUT_LINE_MAX 512 /* of one call */

struct column {
    const char *title; /* of the table: at most `width` wide */
    const char *key;   /* of the JSON object */
    int width;         /* in characters, negative: left-justified. The last one of a table may be 0:
                          as wide as it comes */
};

struct output {
    void (*put)(void *context, const char *bytes, size_t size); /* takes all of it */
    void *context;
    bool json;
    const struct column *columns; /* of the row that is being written */
    size_t count, next;
    size_t blanks; /* of a table, not written as nothing visible has followed them so far */
};

/* Text as it is; lines end in "\n" (the terminal makes "\r\n" of it). With -j commands write no
 * text. */
void output_text(struct output *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The titles, underlined by nothing, in one line. */
void output_header(struct output *out, const struct column *columns, size_t count);

/* One row: as many cells as columns, in their order, a blank between them. A cell that is too long
 * pushes the rest of its line to the right; nothing is cut. In JSON, text is escaped by RFC 8259
 * (any byte sequence makes valid JSON: what is no UTF-8 counts as Latin-1), and numbers are
 * numbers. */
void row_begin(struct output *out, const struct column *columns, size_t count);
void row_text(struct output *out, const char *text);
void row_number(struct output *out, uint64_t number);
void row_hex(struct output *out, uint64_t number);     /* JSON: a string "0x..." */
void row_size(struct output *out, uint64_t bytes);     /* "4M", "36K"; JSON: bytes */
void row_permille(struct output *out, uint64_t permille); /* "12.3%"; JSON: 12.3 */
void row_none(struct output *out);                     /* "-"; JSON: null */
void row_end(struct output *out);

#endif
