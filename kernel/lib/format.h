/* SPDX-License-Identifier: MIT */
/* snprintf and vsnprintf for a kernel without libc: the integer and string half of C11 7.21.6.1.
 * The prototypes are libc's, so that host tests may take either. */
#ifndef KERNEL_LIB_FORMAT_H
#define KERNEL_LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Writes at most `size` bytes with the NUL to `buffer` (may be NULL when `size` is 0). Returns the
 * length that the whole text has, or -1 when that exceeds INT_MAX.
 *
 * Conversions d i u x X c s p %; flags - 0 + blank #; width and precision as numbers or *; lengths
 * hh h l ll z j t. A pointer is 0x and hexadecimal digits (0x0 for NULL), a NULL string "(null)".
 * From the first conversion that is none of these on, the format stands for itself: what follows
 * cannot know where its argument is. */
int snprintf(char *restrict buffer, size_t size, const char *restrict format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char *restrict buffer, size_t size, const char *restrict format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
