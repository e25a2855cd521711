/* SPDX-License-Identifier: MIT */
/* Numbers as people write them in the GRUB menu: decimal, 0x hexadecimal, sizes with a suffix.
 * Strict: no blanks, no sign, no octal, nothing behind the number. Pure. */
#ifndef KERNEL_LIB_PARSE_H
#define KERNEL_LIB_PARSE_H

#include "kernel/lib/types.h"

/* Reads the `length` bytes of `text` as decimal or, behind 0x, hexadecimal digits. Returns 0,
 * -EINVAL when they are no number, -ERANGE when it does not fit; `*value` changes on success
 * only. */
MUST_CHECK int parse_u64(const char *text, size_t length, uint64_t *value);

/* The same with an optional last letter K, M or G: times 2^10, 2^20, 2^30. */
MUST_CHECK int parse_size(const char *text, size_t length, uint64_t *bytes);

#endif
