/* SPDX-License-Identifier: MIT */
/* A piece of a string: what the readers of options and keys cut words into without copying. */
#ifndef KERNEL_LIB_TEXT_H
#define KERNEL_LIB_TEXT_H

#include <string.h>

#include "kernel/lib/types.h"

/* `length` bytes, not NUL-terminated. `bytes` is NULL where there is no text; a text that is there
 * and empty has an address. */
struct text {
    const char *bytes;
    size_t length;
};

static inline bool text_equals(struct text text, const char *wanted)
{
    return strlen(wanted) == text.length && memcmp(text.bytes, wanted, text.length) == 0;
}

/* Cuts `text` at the first `separator`: returns what stands before it and leaves in `*text` what
 * stands behind it. Without a separator, returns all and leaves NULL. */
static inline struct text text_cut(struct text *text, char separator)
{
    struct text head = *text;

    for (size_t i = 0; i < text->length; i++) {
        if (text->bytes[i] != separator)
            continue;
        head.length = i;
        *text = (struct text){text->bytes + i + 1, text->length - i - 1};
        return head;
    }
    *text = (struct text){NULL, 0};
    return head;
}

#endif
