/* SPDX-License-Identifier: MIT */
/* A pool is two counts, held against the allocator's: what is reserved there and what was taken. A
 * frame that comes back is reserved again, so the sum of both stays what it was made with. */
#include "kernel/mm/frame_pool.h"

#include <linux/errno.h>

#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"

int frame_pool_create(struct frame_pool *pool, uint64_t frames)
{
    *pool = (struct frame_pool){0};
    int error = frames_reserve(frames);
    if (!error)
        pool->reserved = frames;
    return error;
}

void frame_pool_destroy(struct frame_pool *pool)
{
    if (pool->taken)
        panic("frame pool: %llu frames were not given back", (unsigned long long)pool->taken);
    frames_unreserve(pool->reserved);
    pool->reserved = 0;
}

int frame_pool_block(struct frame_pool *pool, unsigned order, hpa_t *block)
{
    /* the order first: the allocator refuses what is no order, and then there is no such shift */
    if (order <= FRAME_MAX_ORDER && BIT(order) > pool->reserved)
        return -ENOMEM;
    int error = frame_alloc_reserved(order, block);
    if (error)
        return error;
    pool->reserved -= BIT(order);
    pool->taken += BIT(order);
    return 0;
}

void frame_pool_free_block(struct frame_pool *pool, unsigned order, hpa_t block)
{
    if (frame_free_reserved(block, order))
        panic("frame pool: frame 0x%llx was not ours", (unsigned long long)block.value);
    pool->taken -= BIT(order);
    pool->reserved += BIT(order);
}

void *frame_pool_page(struct frame_pool *pool)
{
    hpa_t page;
    return frame_pool_block(pool, FRAME_ORDER_4K, &page) ? NULL : phys_to_virt(page);
}

void frame_pool_free_page(struct frame_pool *pool, void *page)
{
    frame_pool_free_block(pool, FRAME_ORDER_4K, virt_to_phys(page));
}
