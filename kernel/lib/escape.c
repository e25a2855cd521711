/* SPDX-License-Identifier: MIT */
/* Escaping: kernel/lib/escape.h says which bytes stay. A backslash stays too, so the text cannot be
 * turned back for certain; it is made to be read. */
#include "kernel/lib/escape.h"

#include <string.h>

#define ESCAPED_SIZE 4 /* \xNN */

static bool is_printable(uint8_t byte)
{
    return byte >= 0x20 && byte <= 0x7e;
}

/* How many of the bytes at `from` can be copied as they are, whole words of them. */
static size_t plain_words(const char *from, size_t length)
{
    const uint64_t ones = 0x0101010101010101ull;
    size_t i = 0;
    for (uint64_t word; length - i >= sizeof word; i += sizeof word) {
        __builtin_memcpy(&word, from + i, sizeof word);
        /* a high bit somewhere: a byte below 0x20, one of 0x7f, or one above */
        if (((word - 0x20 * ones) | (word + ones) | word) & 0x80 * ones)
            break;
    }
    return i;
}

size_t escape_text(char *to, size_t size, const char *from, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = plain_words(from, MIN(size, length));

    memcpy(to, from, used);
    for (size_t i = used; i < length; i++) {
        uint8_t byte = (uint8_t)from[i];
        const char escaped[ESCAPED_SIZE] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        const char *text = is_printable(byte) ? &from[i] : escaped;
        size_t text_size = is_printable(byte) ? 1 : ESCAPED_SIZE;

        if (size - used < text_size)
            break;
        memcpy(to + used, text, text_size);
        used += text_size;
    }
    return used;
}
