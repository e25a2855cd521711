/* SPDX-License-Identifier: MIT */
/* Disks: a page that was written, else the image, else zeroes. A page is filled before it is in
 * `written`, so that a reader without the lock finds what was there before or what is new. */
#include "kernel/vm/block.h"

#include <atoll/abi.h>
#include <linux/errno.h>
#include <string.h>

#include "kernel/mm/phys.h"
#include "kernel/panic.h"

#define TABLE_PAGES 512ull /* that a table of the sparse array names */

static const uint8_t zeroes[PAGE_SIZE];

static uint64_t pages_of(const struct block *b)
{
    return (b->capacity + PAGE_SIZE - 1) / PAGE_SIZE;
}

static uint64_t in_tables(uint64_t count)
{
    return (count + TABLE_PAGES - 1) / TABLE_PAGES;
}

uint64_t block_frames(const struct block *b)
{
    if (b->read_only)
        return 0;
    uint64_t pages = pages_of(b), tables = in_tables(pages), directories = in_tables(tables);
    return pages + tables + directories + in_tables(directories) + 1;
}

int block_start(struct block *b, struct frame_pool *pool, struct spinlock *lock)
{
    b->pool = pool;
    b->lock = lock;
    return b->read_only ? 0 : ept_create(&b->written, 0, pool);
}

static void free_page(gpa_t offset, const struct ept_leaf *leaf, void *context)
{
    (void)offset;
    frame_pool_free_page(context, phys_to_virt(leaf->address));
}

void block_stop(struct block *b)
{
    if (b->pool && !b->read_only) {
        ept_for_each(&b->written, free_page, b->pool);
        ept_destroy(&b->written);
    }
    b->pool = NULL;
}

/* ---- Transfers ------------------------------------------------------------------------------- */

static uint64_t part_in_page(uint64_t offset, uint64_t length)
{
    return MIN(PAGE_SIZE - (offset & PAGE_MASK), length);
}

int block_check(const struct block *b, uint64_t offset, uint64_t length, bool write)
{
    bool within = offset < b->capacity && length <= b->capacity - offset;
    if (!within || length > ATOLL_BLOCK_MAX)
        return -EINVAL;
    return write && b->read_only ? -EROFS : 0;
}

/* The bytes of the disk from `offset` on, to the end of that page. */
static const uint8_t *bytes_at(const struct block *b, uint64_t offset)
{
    const uint8_t *written = b->read_only ? NULL : ept_reach(&b->written, GPA(offset), EPT_READ);
    if (written)
        return written;
    return b->image ? b->image + offset : zeroes + (offset & PAGE_MASK);
}

int block_read(const struct block *b, struct guest_memory *memory, uint64_t offset, gpa_t data,
               uint64_t length)
{
    int error = block_check(b, offset, length, false);
    for (uint64_t done = 0; done < length && !error;) {
        uint64_t part = part_in_page(offset + done, length - done);
        error = guest_write(memory, GPA(data.value + done), bytes_at(b, offset + done), part);
        done += part;
    }
    return error;
}

/* A page of the guest's own for that offset, which is a page's first; with the lock. */
static void make_page(struct block *b, uint64_t offset)
{
    if (ept_reach(&b->written, GPA(offset), EPT_RW))
        return; /* another vCPU came first */
    void *page = frame_pool_page(b->pool);
    if (page && b->image)
        memcpy(page, b->image + offset, MIN(PAGE_SIZE, b->capacity - offset));
    if (!page || ept_map(&b->written, GPA(offset), virt_to_phys(page), 0, EPT_RW, EPT_WB))
        panic("disk: no page for 0x%llx", (unsigned long long)offset);
}

static uint8_t *own_bytes_at(struct block *b, uint64_t offset)
{
    uint8_t *written = ept_reach(&b->written, GPA(offset), EPT_RW);
    if (written)
        return written;
    spin_lock(b->lock);
    make_page(b, ALIGN_DOWN(offset, PAGE_SIZE));
    spin_unlock(b->lock);
    return ept_reach(&b->written, GPA(offset), EPT_RW);
}

int block_write(struct block *b, struct guest_memory *memory, uint64_t offset, gpa_t data,
                uint64_t length)
{
    int error = block_check(b, offset, length, true);
    if (!error && !guest_range_ok(memory, data, length))
        error = -EFAULT;
    for (uint64_t done = 0; done < length && !error;) {
        uint64_t part = part_in_page(offset + done, length - done);
        error = guest_read(memory, GPA(data.value + done), own_bytes_at(b, offset + done), part);
        done += part;
    }
    return error;
}
