/* SPDX-License-Identifier: MIT */
/* A guest's RAM and the one door to it. RAM is [0, size), with a hole from 3 to 4 GiB: what does
 * not fit below is above 4 GiB. (A flat one has no hole, and is not larger than 4 GiB.) All of it
 * is set aside when the guest is made, and each page comes, zeroed, at its first touch; so a guest
 * never meets a lack of memory, and what it never touches costs nothing but the reservation. */
#ifndef KERNEL_VM_GUEST_MEMORY_H
#define KERNEL_VM_GUEST_MEMORY_H

#include "kernel/lib/spinlock.h"
#include "kernel/lib/types.h"
#include "kernel/mm/frame_pool.h"
#include "vmx/ept.h"

#define GUEST_HOLE_START  (3 * GIB)
#define GUEST_HOLE_END    (4 * GIB)
#define GUEST_REGIONS_MAX 16

/* Pages of RAM with rights of their own: [start, end). */
struct guest_region {
    uint64_t start, end;
    uint8_t access; /* enum ept_access bits */
};

/* Must not be moved or copied: the EPT holds the address of its pool. While vCPUs may run, pool,
 * EPT and `present` change under the lock only; before and after, their owner takes pages for the
 * VM from the pool, and maps what is not RAM, without it. */
struct guest_memory {
    struct frame_pool pool; /* all frames that the VM uses: RAM, EPT, VMCSs ... */
    struct ept ept;
    struct spinlock lock;
    uint64_t size;          /* bytes of RAM; 0: there is none, nothing was taken */
    uint64_t low;           /* of them, below the hole; all, where there is none */
    uint8_t access;         /* enum ept_access bits of RAM in no region */
    uint64_t present;       /* 4 KiB frames of RAM that were touched, or mapped from the start */
    uint64_t regions_end;   /* no region reaches further: most pages are looked up by this alone */
    uint32_t region_count;
    struct guest_region regions[GUEST_REGIONS_MAX]; /* ascending by start */
};

/* Bytes of RAM below the hole and above it. */
uint64_t guest_memory_low(const struct guest_memory *memory);
uint64_t guest_memory_high(const struct guest_memory *memory);

enum guest_layout { GUEST_WITH_HOLE, GUEST_FLAT };

/* Sets `size` bytes of RAM aside, whole pages and at least one, with the EPT tables that it takes
 * to map them all by 4 KiB, and `extra` frames for what else the caller takes from memory->pool.
 * Makes an EPT with leaves up to `max_order` that maps nothing. 0 or -ENOMEM (nothing is kept). */
MUST_CHECK int guest_memory_create(struct guest_memory *memory, uint64_t size,
                                   enum guest_layout layout, unsigned max_order, uint64_t extra);

/* Gives all frames back, in a time that goes by what was touched. No processor may run on the EPT
 * any more, and what the caller took from the pool must be back there. What is mapped in the hole
 * is not RAM and stays its owner's. Does nothing to one of all zeroes. */
void guest_memory_destroy(struct guest_memory *memory);

/* Gives pages rights: those of the regions that cover it together; RAM in no region has `access`
 * (before this call: RWX). To be called before a page is present. -EINVAL: more than
 * GUEST_REGIONS_MAX, not ascending by start, not of whole pages, empty, or with an access that EPT
 * cannot give (executable alone: the caller knows that the processor can). -EBUSY: a page is
 * present. */
MUST_CHECK int guest_memory_set_regions(struct guest_memory *memory,
                                        const struct guest_region *regions, uint32_t count,
                                        uint8_t access);

/* For an EPT violation by `access` (enum ept_access bits, which are bits 2:0 of the exit
 * qualification, SDM table 27-7) at `guest`. 0: the page is present now, and the guest may try
 * again. -EACCES: RAM, but not with that access. -EFAULT: not RAM. */
MUST_CHECK int guest_memory_fault(struct guest_memory *memory, gpa_t guest, uint8_t access);

/* Maps all RAM that is not present yet, in the largest leaves that fit between the regions and for
 * which there are blocks. */
void guest_memory_map_all(struct guest_memory *memory);

/* 4 KiB frames that the VM has taken for anything but RAM. */
uint64_t guest_memory_overhead(struct guest_memory *memory);

/* Is [guest, guest + length) RAM? Its end may be the end of RAM; it never wraps. */
bool guest_range_ok(const struct guest_memory *memory, gpa_t guest, uint64_t length);

/* What the guest may do with a page of its RAM: enum ept_access bits. 0: it is no RAM. */
uint8_t guest_page_access(const struct guest_memory *memory, gpa_t guest);

/* guest_reach for a page that was not used lately. */
void *guest_reach_far(const struct guest_memory *memory, gpa_t guest, uint8_t access);

/* Where [guest, guest + length) lies when it is RAM within one page that is present and that the
 * guest itself may use with all of `access`, which is not 0; else NULL, though it may be RAM: the
 * long way is to copy. The bytes are the guest's: its other vCPUs may change them at any time. */
static inline void *guest_reach(const struct guest_memory *memory, gpa_t guest, uint64_t length,
                                uint8_t access)
{
    if (length > PAGE_SIZE || (guest.value & PAGE_MASK) + length > PAGE_SIZE)
        return NULL;
    /* A page that was found before is RAM: no other is ever looked for in this way. */
    void *recent;
    return ept_recent(&memory->ept, guest, access, &recent)
               ? recent
               : guest_reach_far(memory, guest, access);
}

/* Copies. -EFAULT, and nothing is copied, unless all of it is RAM, which for guest_write the guest
 * itself may write. Reading a page that was never touched gives zeroes and leaves it so. */
MUST_CHECK int guest_read(const struct guest_memory *memory, gpa_t guest, void *to,
                          uint64_t length);
MUST_CHECK int guest_write(struct guest_memory *memory, gpa_t guest, const void *from,
                           uint64_t length);

/* A page of RAM, brought in, for what the guest is loaded with. `page` is its address, and RAM. */
void *guest_load_page(struct guest_memory *memory, gpa_t page);

/* As guest_write, whatever the rights of the pages: for what the guest is loaded with. */
MUST_CHECK int guest_load_bytes(struct guest_memory *memory, gpa_t guest, const void *from,
                                uint64_t length);

#endif
