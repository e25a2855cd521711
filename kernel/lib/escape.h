/* SPDX-License-Identifier: MIT */
/* Untrusted bytes as printable text: what a guest writes can then neither move a terminal's cursor
 * nor end a line. Pure. */
#ifndef KERNEL_LIB_ESCAPE_H
#define KERNEL_LIB_ESCAPE_H

#include "kernel/lib/types.h"

/* Writes the `length` bytes of `from` to `to`: 0x20 to 0x7e as they are, any other as \xNN with two
 * small hexadecimal digits. Stops before the first one that does not fit into `size` bytes whole.
 * Returns how many bytes it wrote; there is no NUL behind them. */
size_t escape_text(char *to, size_t size, const char *from, size_t length);

#endif
