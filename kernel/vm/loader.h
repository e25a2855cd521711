/* SPDX-License-Identifier: MIT */
/* From a module to a guest's memory: the image copied, its pages with the rights that the image
 * asks for, the start information. */
#ifndef KERNEL_VM_LOADER_H
#define KERNEL_VM_LOADER_H

#include "kernel/vm/guest_memory.h"
#include "kernel/vm/module_line.h"

#define LOADER_ERROR_MAX 200

/* Builds the memory of a guest from its image; its pool has `extra` frames for the caller, besides
 * RAM and the tables for it. With config->eager all RAM is mapped. Returns 0, where to enter it and
 * where its start information is; or a negative errno and one line in `error`, and nothing is
 * kept. */
MUST_CHECK int guest_load(struct guest_memory *memory, const struct vm_config *config,
                          const void *file, size_t size, uint64_t extra, gpa_t *entry,
                          gpa_t *start_info, char error[LOADER_ERROR_MAX]);

#endif
