/* SPDX-License-Identifier: MIT */
/* A dump of the trace as lines of text, for a serial port that the log has too: base64 (RFC 4648)
 * between a first line and a last one. What they are: docs/trace.md. */
#ifndef KERNEL_VM_TRACE_FRAME_H
#define KERNEL_VM_TRACE_FRAME_H

#include "kernel/vm/trace.h"

#define TRACE_FRAME_BYTES 57 /* of the dump in a line: 76 characters */
#define TRACE_FRAME_LINE  96 /* holds any line */

/* Zeroed, it starts at the beginning. */
struct trace_frame {
    struct trace_dump dump;
    uint64_t bytes; /* of the dump, so far */
    enum { FRAME_FIRST, FRAME_MIDDLE, FRAME_END } state;
};

/* The next line, without its end and with a NUL. Returns its length; 0 behind the last one. */
size_t trace_frame_line(struct trace_frame *frame, char line[TRACE_FRAME_LINE]);

#endif
