/* SPDX-License-Identifier: MIT */
/* What a PVH guest finds at its entry (xen/arch-x86/hvm/start_info.h): struct hvm_start_info, the
 * memory map, the ACPI tables (guest_acpi.h) and the command line, in one page of its RAM. The map
 * has that page as reserved, and not as ACPI memory, which a guest may take once it has read its
 * tables: it holds the command line, too. */
#ifndef KERNEL_VM_START_INFO_H
#define KERNEL_VM_START_INFO_H

#include "kernel/vm/elf_image.h"
#include "kernel/vm/guest_memory.h"

/* Writes them into the lowest page but page 0 that no segment of `image` touches. Returns 0 and its
 * address; -ENOSPC when the image fills the RAM; -EINVAL with more than VM_VCPUS_MAX vCPUs. */
MUST_CHECK int start_info_write(struct guest_memory *memory, const struct elf_image *image,
                                const char *command_line, uint32_t vcpus, gpa_t *address);

#endif
