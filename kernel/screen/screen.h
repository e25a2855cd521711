/* SPDX-License-Identifier: MIT */
/* The log on the machine's display, for machines without a serial port: the newest screenful, in
 * the text mode or the linear framebuffer that the boot loader has left. */
#ifndef KERNEL_SCREEN_SCREEN_H
#define KERNEL_SCREEN_SCREEN_H

#include "kernel/boot_info.h"
#include "kernel/lib/types.h"
#include "kernel/log.h"

/* Maps the framebuffer of `info`, clears it and shows the log so far. `alone`: there is no
 * terminal, so the lines that are on the screen count as taken and may be overwritten in the log.
 * Writes one line to the log: what the screen is, or why there is none. Returns true when there is
 * one: then add screen_sink. After memory_init. */
bool screen_init(const struct boot_info *info, bool alone);

extern const struct log_sink screen_sink;

#endif
