/* SPDX-License-Identifier: MIT */
/* Any bytes as a line of a guest's console: what the log gets of it is printable and stands for the
 * beginning of the line, as much as fits. The first byte is the room there is. */
#include "tests/fuzz/require.h"

#include <string.h>

#include "kernel/lib/escape.h"

/* The bytes that `text` stands for are those of `from`; returns how many. */
static size_t check_escaped(const char *text, size_t used, const char *from, size_t length)
{
    char escaped[5];
    size_t done = 0, at = 0;

    for (; at < used; done++) {
        require(done < length, "more than the line");
        uint8_t byte = (uint8_t)from[done];
        bool printable = byte >= 0x20 && byte <= 0x7e;
        snprintf(escaped, sizeof(escaped), printable ? "%c" : "\\x%02x", byte);
        require(used - at >= strlen(escaped), "an escape that is cut");
        require(memcmp(text + at, escaped, strlen(escaped)) == 0, "another byte");
        at += strlen(escaped);
    }
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t room = data[0], length = size - 1;
    const char *from = (const char *)data + 1;
    char *text = malloc(room > 0 ? room : 1);

    require(text, "memory");
    size_t used = escape_text(text, room, from, length);
    require(used <= room, "longer than its room");
    for (size_t i = 0; i < used; i++)
        require(text[i] >= 0x20 && text[i] <= 0x7e, "a byte that is not printable");
    size_t done = check_escaped(text, used, from, length);
    if (done < length) {
        bool printable = from[done] >= 0x20 && from[done] <= 0x7e;
        require(room - used < (printable ? 1u : 4u), "the next byte would have fitted");
    }
    free(text);
    return 0;
}
