/* SPDX-License-Identifier: MIT */
/* Block devices in memory. What a disk holds at the start is a module's bytes, which nobody changes
 * and any number of guests may share, or zeroes. What a guest writes goes into pages of its own,
 * copied from there at the first write, and is gone with its life. */
#ifndef KERNEL_VM_BLOCK_H
#define KERNEL_VM_BLOCK_H

#include <atoll/abi.h>
#include <linux/errno.h>
#include <stdatomic.h>

#include "kernel/lib/spinlock.h"
#include "kernel/mm/frame_pool.h"
#include "kernel/vm/guest_memory.h"
#include "vmx/ept.h"

/* Must not be moved while it is started. */
struct block {
    const uint8_t *image;    /* `capacity` bytes; NULL: zeroes */
    uint64_t capacity;       /* a multiple of block_size */
    uint32_t block_size;
    bool read_only;
    _Atomic bool has_written; /* something, since it was started */
    struct spinlock *lock;   /* of the pool, and of `written` */
    struct frame_pool *pool;
    struct ept written;      /* offset in the disk -> page: EPT's mapper makes a sparse array */
};

/* The frames that it takes from a pool while it is started, at most. */
uint64_t block_frames(const struct block *block);

/* Starts it with nothing written; other disks may share pool and lock. 0 or -ENOMEM. */
MUST_CHECK int block_start(struct block *block, struct frame_pool *pool, struct spinlock *lock);

/* Gives its pages back. Nobody uses it any more. Does nothing to one that is not started. */
void block_stop(struct block *block);

/* May `length` bytes at byte `offset` be read, or written? 0; -EINVAL: not all of it is within the
 * disk, or more than ATOLL_BLOCK_MAX; -EROFS. */
MUST_CHECK static inline int block_check(const struct block *block, uint64_t offset,
                                         uint64_t length, bool write)
{
    bool within = offset < block->capacity && length <= block->capacity - offset;
    if (!within || length > ATOLL_BLOCK_MAX)
        return -EINVAL;
    return write && block->read_only ? -EROFS : 0;
}

/* Copies `length` bytes between the disk, from byte `offset` on, and a guest's memory at `data`:
 * what block_check allows. 0; -EFAULT: not the guest's memory to read or write, and some of it may
 * have been done. Two requests at once are carried out in any order, page by page. */
MUST_CHECK int block_copy_out(const struct block *block, struct guest_memory *memory,
                              uint64_t offset, gpa_t data, uint64_t length);
MUST_CHECK int block_copy_in(struct block *block, struct guest_memory *memory, uint64_t offset,
                             gpa_t data, uint64_t length);

/* Both in one: what either returns. */
MUST_CHECK static inline int block_read(const struct block *block, struct guest_memory *memory,
                                        uint64_t offset, gpa_t data, uint64_t length)
{
    int error = block_check(block, offset, length, false);
    return error ? error : block_copy_out(block, memory, offset, data, length);
}

MUST_CHECK static inline int block_write(struct block *block, struct guest_memory *memory,
                                         uint64_t offset, gpa_t data, uint64_t length)
{
    int error = block_check(block, offset, length, true);
    return error ? error : block_copy_in(block, memory, offset, data, length);
}

#endif
