/* SPDX-License-Identifier: MIT */
/* Disks: a page that was written, else the image, else zeroes. A page is filled before it is in
 * `written`, so that a reader without the lock finds what was there before or what is new. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/block.h"

#include <string.h>

#include "kernel/lib/flags.h"
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
    b->has_written = false;
    return b->read_only ? 0 : ept_create(&b->written, 0, pool);
}

static void free_page(gpa_t offset, const struct ept_leaf *leaf, void *context)
{
    (void)offset;
    frame_pool_free_page(context, phys_to_virt(leaf->address));
}

void block_stop(struct block *b)
{
    if (b->pool && !b->read_only)
        ept_take_apart(&b->written, free_page, b->pool);
    b->pool = NULL;
}

/* ---- Transfers ------------------------------------------------------------------------------- */

static uint64_t part_in_page(uint64_t offset, uint64_t length)
{
    return MIN(PAGE_SIZE - (offset & PAGE_MASK), length);
}

/* The written bytes from `offset` on, to the end of that page; NULL: nothing was written there. */
static inline void *written_at(const struct block *b, uint64_t offset, uint8_t access)
{
    void *byte;
    return ept_recent(&b->written, GPA(offset), access, &byte)
               ? byte
               : ept_reach(&b->written, GPA(offset), access);
}

/* The bytes of the disk from `offset` on, to the end of that page. */
static const uint8_t *bytes_at(const struct block *b, uint64_t offset)
{
    const uint8_t *written =
        is_true(&b->has_written) ? written_at(b, offset, EPT_READ) : NULL;
    if (written)
        return written;
    return b->image ? b->image + offset : zeroes + (offset & PAGE_MASK);
}

static __attribute__((noinline)) int copy_out_pages(const struct block *b,
                                                    struct guest_memory *memory, uint64_t offset,
                                                    gpa_t data, uint64_t length)
{
    int error = 0;
    for (uint64_t done = 0; done < length && !error;) {
        uint64_t part = part_in_page(offset + done, length - done);
        error = guest_write(memory, GPA(data.value + done), bytes_at(b, offset + done), part);
        done += part;
    }
    return error;
}

int block_copy_out(const struct block *b, struct guest_memory *memory, uint64_t offset, gpa_t data,
                   uint64_t length)
{
    void *to;
    if ((offset & PAGE_MASK) + length > PAGE_SIZE ||
        !(to = guest_reach(memory, data, length, EPT_WRITE)))
        return copy_out_pages(b, memory, offset, data, length);
    memcpy(to, bytes_at(b, offset), length); /* a page's part, as most are */
    return 0;
}

/* A page of the guest's own for that offset, which is a page's first; with the lock. */
static void make_page(struct block *b, uint64_t offset)
{
    if (written_at(b, offset, EPT_RW))
        return; /* another vCPU came first */
    void *page = frame_pool_page(b->pool);
    if (page && b->image)
        memcpy(page, b->image + offset, MIN(PAGE_SIZE, b->capacity - offset));
    if (!page || ept_map(&b->written, GPA(offset), virt_to_phys(page), 0, EPT_RW, EPT_WB))
        panic("disk: no page for 0x%llx", (unsigned long long)offset);
    /* release: who reads the disk behind this write finds the page */
    atomic_store_explicit(&b->has_written, true, memory_order_release);
}

static uint8_t *own_bytes_at(struct block *b, uint64_t offset)
{
    uint8_t *written = written_at(b, offset, EPT_RW);
    if (written)
        return written;
    spin_lock(b->lock);
    make_page(b, ALIGN_DOWN(offset, PAGE_SIZE));
    spin_unlock(b->lock);
    return written_at(b, offset, EPT_RW);
}

int block_copy_in(struct block *b, struct guest_memory *memory, uint64_t offset, gpa_t data,
                  uint64_t length)
{
    const void *from;
    if ((offset & PAGE_MASK) + length <= PAGE_SIZE &&
        (from = guest_reach(memory, data, length, EPT_READ))) {
        memcpy(own_bytes_at(b, offset), from, length); /* a page's part, as most are */
        return 0;
    }
    int error = guest_range_ok(memory, data, length) ? 0 : -EFAULT;
    for (uint64_t done = 0; done < length && !error;) {
        uint64_t part = part_in_page(offset + done, length - done);
        error = guest_read(memory, GPA(data.value + done), own_bytes_at(b, offset + done), part);
        done += part;
    }
    return error;
}
