/* SPDX-License-Identifier: MIT */
/* Modules that are no guests but what disks hold: those that another module's line names behind
 * block:. Their own line is a name. */
#ifndef KERNEL_VM_DISKS_H
#define KERNEL_VM_DISKS_H

#include "kernel/boot_info.h"

/* At boot, before the first VM: finds them, with a log line each. `info` must stay until the last
 * guest was created. */
void disks_find(const struct boot_info *info);

/* Is this module one? */
bool disks_have(uint32_t module);

/* The bytes of the disk of this name, in the direct map for ever; NULL: there is none. */
const uint8_t *disk_contents(const char *name, uint64_t *size);

#endif
