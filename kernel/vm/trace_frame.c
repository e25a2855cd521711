/* SPDX-License-Identifier: MIT */
/* Lines of base64: three bytes are four characters, the last ones are padded. */
#include "kernel/vm/trace_frame.h"

#include <string.h>

#include "kernel/lib/format.h"

#define MARK "atoll-trace: "

_Static_assert(sizeof MARK + 4 * ((TRACE_FRAME_BYTES + 2) / 3) <= TRACE_FRAME_LINE, "it fits");
_Static_assert(TRACE_FRAME_BYTES % 3 == 0, "only the last line is padded");

/* Writes up to three bytes as four characters. */
static void encode_group(const uint8_t *bytes, size_t size, char text[4])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t word = (uint32_t)bytes[0] << 16;
    if (size > 1)
        word |= (uint32_t)bytes[1] << 8;
    if (size > 2)
        word |= bytes[2];
    text[0] = digits[word >> 18];
    text[1] = digits[word >> 12 & 63];
    text[2] = size > 1 ? digits[word >> 6 & 63] : '=';
    text[3] = size > 2 ? digits[word & 63] : '=';
}

size_t trace_frame_line(struct trace_frame *frame, char line[TRACE_FRAME_LINE])
{
    uint8_t bytes[TRACE_FRAME_BYTES];
    if (frame->state == FRAME_END)
        return 0;
    if (frame->state == FRAME_FIRST) {
        frame->state = FRAME_MIDDLE;
        return (size_t)snprintf(line, TRACE_FRAME_LINE, MARK "BEGIN");
    }
    size_t size = trace_dump_read(&frame->dump, (char *)bytes, sizeof bytes);
    if (size == 0) {
        frame->state = FRAME_END;
        return (size_t)snprintf(line, TRACE_FRAME_LINE, MARK "END %llu",
                                (unsigned long long)frame->bytes);
    }
    frame->bytes += size;

    size_t length = sizeof MARK - 1;
    memcpy(line, MARK, length);
    for (size_t i = 0; i < size; i += 3, length += 4)
        encode_group(bytes + i, size - i, line + length);
    line[length] = '\0';
    return length;
}
