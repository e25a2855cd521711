/* SPDX-License-Identifier: MIT */
/* From the boot modules to guests that are ready to run. */
#ifndef KERNEL_VM_GUESTS_H
#define KERNEL_VM_GUESTS_H

#include "kernel/boot_info.h"

/* Makes and starts a guest of each module, in the order that their lines ask for. What is wrong
 * with one is a line in the log, and the others start. */
void guests_create(const struct boot_info *info);

/* One line: the frames that were free before the first guest started, and those that are now. */
void guests_recount(void);

#endif
