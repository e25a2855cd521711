/* SPDX-License-Identifier: MIT */
/* An input as a row of choices: numbers are taken from its front, and behind its end all are 0. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "tests/fuzz/require.h"

#include <string.h>

struct input {
    const uint8_t *bytes;
    size_t left;
};

/* The next number of so many bytes, at most 8, the lowest first. */
static inline uint64_t draw(struct input *input, size_t bytes)
{
    uint64_t number = 0;
    size_t there = bytes < input->left ? bytes : input->left;

    if (there > 0)
        memcpy(&number, input->bytes, there);
    input->bytes += there;
    input->left -= there;
    return number;
}

/* A block of exactly that size with these bytes, to be freed: a byte too far is seen. */
static inline uint8_t *exact_copy(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    require(copy, "memory");
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* The same as a string. */
static inline char *string_copy(const void *bytes, size_t size)
{
    char *copy = malloc(size + 1);

    require(copy, "memory");
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

/* What a parser wrote into its error: one line, whole, of characters that can be shown. */
static inline void require_line(const char *error, size_t size)
{
    const char *end = memchr(error, '\0', size);

    require(end, "an error without an end");
    for (const char *c = error; c < end; c++)
        require(*c == '\t' || ((unsigned char)*c >= ' ' && *c != 0x7f),
                "an error with a control byte");
}

#endif
