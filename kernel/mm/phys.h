/* SPDX-License-Identifier: MIT */
/* How the host reaches physical memory: all RAM is mapped once, readable, writable and not
 * executable, at DIRECT_MAP_BASE. Host tests set the base to 0 and use their own memory. */
#ifndef KERNEL_MM_PHYS_H
#define KERNEL_MM_PHYS_H

#include "kernel/lib/types.h"

#ifndef DIRECT_MAP_BASE
#define DIRECT_MAP_BASE 0xffff800000000000ull
#endif

static inline void *phys_to_virt(hpa_t address)
{
    return (void *)(uintptr_t)(address.value + DIRECT_MAP_BASE);
}

/* For pointers into the direct map only, not for the kernel image. */
static inline hpa_t virt_to_phys(const void *pointer)
{
    return HPA((uint64_t)(uintptr_t)pointer - DIRECT_MAP_BASE);
}

#endif
