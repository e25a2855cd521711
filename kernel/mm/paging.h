/* SPDX-License-Identifier: MIT */
/* The host's page tables (SDM Vol. 3A, chapter 4): the kernel image with each section's own rights,
 * all RAM in the direct map, stacks between guard pages, devices uncached. Nothing is writable and
 * executable. */
#ifndef KERNEL_MM_PAGING_H
#define KERNEL_MM_PAGING_H

#include "kernel/boot_info.h"
#include "kernel/lib/types.h"

#define PAGING_WRITE    BIT(1)
#define PAGING_COMBINED BIT(3) /* write-combining: entry 1 of IA32_PAT, see cpu_protect */
#define PAGING_UNCACHED BIT(4)
#define PAGING_EXECUTE  BIT(62) /* ours: turned into the absence of NX */

#define STACKS_BASE  0xffffc00000000000ull /* kernel/cpu/cpu.c */
#define DEVICES_BASE 0xffffd00000000000ull
#define KERNEL_BASE  0xffffffff80000000ull /* the image: kernel.ld, boot.asm */

/* Builds the tables from frames below 4 GiB and switches to them: the image, the low MiB, and the
 * `count` ranges of RAM into the direct map. Returns 0 or -ENOMEM. */
MUST_CHECK int paging_init(const struct boot_range *ram, size_t count);

/* The value of CR3 on every processor, and in the VMCS host state. */
uint64_t paging_root(void);

/* Maps [physical, physical + size), whole pages, at `virtual` with rights (PAGING_* bits), in the
 * largest pages that fit. What is mapped there already stays. Returns 0 or -ENOMEM. */
MUST_CHECK int paging_map(uint64_t virtual, hpa_t physical, uint64_t size, uint64_t rights);

/* Makes physical memory readable in the direct map, for firmware tables outside RAM. Returns the
 * pointer, or NULL. */
const void *paging_map_readable(hpa_t physical, size_t size);

/* Maps device registers, uncached and writable. Returns the pointer, or NULL: no memory, or beyond
 * the processor's physical addresses. */
volatile void *paging_map_device(hpa_t physical, size_t size);

/* The same for video memory, write-combining: what is written may wait until an SFENCE. */
volatile void *paging_map_video(hpa_t physical, size_t size);

#endif
