/* SPDX-License-Identifier: MIT */
/* A guest's RAM and the one door to it. RAM is [0, size), with a hole from 3 to 4 GiB: what does
 * not fit below is above 4 GiB. All of it is the guest's own, zeroed, mapped by EPT as large as it
 * fits. */
#ifndef KERNEL_VM_GUEST_MEMORY_H
#define KERNEL_VM_GUEST_MEMORY_H

#include "kernel/lib/types.h"
#include "vmx/ept.h"

#define GUEST_HOLE_START (3 * GIB)
#define GUEST_HOLE_END   (4 * GIB)

struct guest_memory {
    struct ept ept;
    uint64_t size; /* bytes of RAM; 0: none was taken */
};

/* Bytes of RAM below the hole and above it. */
uint64_t guest_memory_low(const struct guest_memory *memory);
uint64_t guest_memory_high(const struct guest_memory *memory);

/* Takes and maps `size` bytes, whole pages, with leaves up to `max_order`; below `small` with 4 KiB
 * pages, which can get rights of their own. 0 or -ENOMEM (nothing is kept). */
MUST_CHECK int guest_memory_create(struct guest_memory *memory, uint64_t size, unsigned max_order,
                                   uint64_t small);

/* Gives all frames back. No processor may run on the EPT any more. */
void guest_memory_destroy(struct guest_memory *memory);

/* Is [guest, guest + length) RAM? Its end may be the end of RAM; it never wraps. */
bool guest_range_ok(const struct guest_memory *memory, gpa_t guest, uint64_t length);

/* Copies. -EFAULT, and nothing is copied, unless all of it is RAM, which for guest_write the guest
 * itself may write. */
MUST_CHECK int guest_read(const struct guest_memory *memory, gpa_t guest, void *to,
                          uint64_t length);
MUST_CHECK int guest_write(const struct guest_memory *memory, gpa_t guest, const void *from,
                           uint64_t length);

#endif
