/* SPDX-License-Identifier: MIT */
/* What the guest was told: the command line of its module line. */
#ifndef GUESTS_LIB_OPTIONS_H
#define GUESTS_LIB_OPTIONS_H

#include <stdint.h>

/* The whole of it, never NULL. */
const char *guest_command_line(void);

/* The value of the word `key=value`, NULL when there is none. */
const char *guest_option(const char *key);

/* The same as a decimal number; `fallback` when it is absent or no number. */
uint64_t guest_option_number(const char *key, uint64_t fallback);

/* Once, before the two: cuts it into words. */
void options_init(void);

#endif
