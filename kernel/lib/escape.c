/* SPDX-License-Identifier: MIT */
/* Escaping: kernel/lib/escape.h says which bytes stay. A backslash stays too, so the text cannot be
 * turned back for certain; it is made to be read. */
#include "kernel/lib/hot_path.h"

#include "kernel/lib/escape.h"

#include <string.h>

#define ESCAPED_SIZE 4 /* \xNN */

static bool is_printable(uint8_t byte)
{
    return byte >= 0x20 && byte <= 0x7e;
}

/* All of eight bytes? */
static bool is_plain_word(const char *from)
{
    const uint64_t ones = 0x0101010101010101ull;
    uint64_t word;
    __builtin_memcpy(&word, from, sizeof word);
    /* a high bit somewhere: a byte below 0x20, one of 0x7f, or one above */
    return !(((word - 0x20 * ones) | (word + ones) | word) & 0x80 * ones);
}

/* How many of the bytes at `from` can certainly be copied as they are. */
static size_t plain_start(const char *from, size_t length)
{
    size_t i = 0;
    for (; length - i >= sizeof(uint64_t); i += sizeof(uint64_t))
        if (!is_plain_word(from + i))
            return i;
    bool rest = i > 0 && is_plain_word(from + length - sizeof(uint64_t));
    return rest ? length : i;
}

size_t escape_text(char *to, size_t size, const char *from, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = plain_start(from, MIN(size, length));

    memcpy(to, from, used);
    for (size_t i = used; i < length; i++) {
        uint8_t byte = (uint8_t)from[i];

        if (size - used < (is_printable(byte) ? 1 : ESCAPED_SIZE))
            break;
        if (is_printable(byte)) {
            to[used++] = (char)byte;
            continue;
        }
        to[used++] = '\\';
        to[used++] = 'x';
        to[used++] = digits[byte >> 4];
        to[used++] = digits[byte & 15];
    }
    return used;
}
