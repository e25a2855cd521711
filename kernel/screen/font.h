/* SPDX-License-Identifier: MIT */
/* The screen's font: a PSF file of Debian's console fonts, embedded at build time (embed.py). */
#ifndef KERNEL_SCREEN_FONT_H
#define KERNEL_SCREEN_FONT_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t screen_font[];
extern const size_t screen_font_size;

#endif
