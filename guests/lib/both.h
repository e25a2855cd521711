/* SPDX-License-Identifier: MIT */
/* What guests of both kinds have, so that one main may be built for both: Atoll's own (guest.h) and
 * those with Solo5's hvt interface (guests/hvt/lib/guest.h). */
#ifndef GUESTS_LIB_BOTH_H
#define GUESTS_LIB_BOTH_H

#include <linux/errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/lib/types.h"

#include "guests/lib/cpu.h"
#include "guests/lib/exceptions.h"
#include "guests/lib/net.h"
#include "guests/lib/options.h"
#include "guests/lib/time.h"

/* The value that it returns is the guest's exit status. */
int main(void);

/* Writes to the guest's console. The formats are those of kernel/lib/format.h. */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the guest with `status`, 0 to 255: 0 is success. */
_Noreturn void guest_exit(int status);

#endif
