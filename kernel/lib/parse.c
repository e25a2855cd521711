/* SPDX-License-Identifier: MIT */
/* Numbers and sizes from text; kernel/lib/parse.h says which forms there are. */
#include "kernel/lib/parse.h"

#include <linux/errno.h>

/* The value of a digit, or 16 for what is none in any base. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

int parse_u64(const char *text, size_t length, uint64_t *value)
{
    unsigned base = 10;
    if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
        length -= 2;
    }
    if (length == 0)
        return -EINVAL;

    uint64_t sum = 0;
    bool overflow = false;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = digit_value(text[i]);
        if (digit >= base)
            return -EINVAL; /* also behind an overflow: "no number" is the better answer */
        overflow |= __builtin_mul_overflow(sum, base, &sum);
        overflow |= __builtin_add_overflow(sum, digit, &sum);
    }
    if (overflow)
        return -ERANGE;
    *value = sum;
    return 0;
}

static unsigned suffix_shift(char c)
{
    switch (c) {
    case 'K': return 10;
    case 'M': return 20;
    case 'G': return 30;
    default: return 0;
    }
}

int parse_size(const char *text, size_t length, uint64_t *bytes)
{
    unsigned shift = length > 0 ? suffix_shift(text[length - 1]) : 0;
    if (shift)
        length--;

    uint64_t number;
    int error = parse_u64(text, length, &number);
    if (error)
        return error;
    if (number > UINT64_MAX >> shift)
        return -ERANGE;
    *bytes = number << shift;
    return 0;
}
