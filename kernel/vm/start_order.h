/* SPDX-License-Identifier: MIT */
/* In which order the guests of the boot modules start: by `boot_order=`, then as GRUB lists them,
 * and none before the one that its `after=` names. Pure. */
#ifndef KERNEL_VM_START_ORDER_H
#define KERNEL_VM_START_ORDER_H

#include "kernel/vm/module_line.h"

#define START_ORDER_ERROR_MAX 160

/* One guest; what the module line said. */
struct start_entry {
    const struct vm_config *config;
    bool refused;                       /* its `after=` is wrong: it does not start ... */
    char error[START_ORDER_ERROR_MAX];  /* ... for this reason */
};

/* Writes the numbers of all entries that can start, in their order, into `order` and returns how
 * many. An `after=` that names no guest, itself, or a circle refuses the entry (all in the circle,
 * and who stands behind it starts in its place as if it had no `after=`). `scratch` has `count`
 * words. Cost: O(count^2) at worst. */
uint32_t start_order(struct start_entry *entries, uint32_t count, uint32_t *order,
                     uint32_t *scratch);

#endif
