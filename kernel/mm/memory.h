/* SPDX-License-Identifier: MIT */
/* All memory of the machine, from the firmware's map to frames that can be handed out. */
#ifndef KERNEL_MM_MEMORY_H
#define KERNEL_MM_MEMORY_H

#include "kernel/boot_info.h"
#include "kernel/lib/types.h"

#define MEMORY_ERROR_MAX 160

/* Sets a page below 1 MiB aside for the trampoline (`*low_page`; 0 when there is none), starts the
 * frame allocator, builds the host's page tables and switches to them. `image` is where Atoll lies.
 * `info` must stay. Returns 0, or -ENOMEM / -E2BIG and one line in `error`. */
MUST_CHECK int memory_init(const struct boot_info *info, struct boot_range image, hpa_t *low_page,
                           char error[MEMORY_ERROR_MAX]);

/* What was found at boot: the firmware's map, the modules, the boot loader's name. */
const struct boot_info *memory_boot_info(void);

/* Ranges that never become frames. */
enum memory_use { MEMORY_IMAGE, MEMORY_MODULE, MEMORY_TRAMPOLINE, MEMORY_METADATA };

/* The n-th of them, from 0 on; false: there are no more. Modules stand in their order. */
bool memory_reserved(size_t number, enum memory_use *use, struct boot_range *range);

#endif
