/* SPDX-License-Identifier: MIT */
/* From the firmware's memory map, which may be unsorted and overlap, to the sorted, disjoint,
 * page-aligned ranges that Atoll may use. Pure: runs on the host in tests. */
#ifndef KERNEL_MM_MEMORY_MAP_H
#define KERNEL_MM_MEMORY_MAP_H

#include "kernel/boot_info.h"
#include "kernel/lib/types.h"

/* Reserved wins over available where entries overlap; usable ranges are rounded inwards to pages;
 * neighbours are merged; what wraps around 2^64 is cut there. `reserved` are further ranges to
 * leave out (the image, modules, boot information, the trampoline page), rounded outwards. Writes
 * at most `max` ranges in ascending order to `usable` and returns their number, or -E2BIG.
 * The work is bounded by (memory_count + reserved_count)^2. */
MUST_CHECK int memory_map_usable(const struct boot_memory *memory, size_t memory_count,
                                 const struct boot_range *reserved, size_t reserved_count,
                                 struct boot_range *usable, size_t max);

#endif
