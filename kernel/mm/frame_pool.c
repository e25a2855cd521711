/* SPDX-License-Identifier: MIT */
/* A pool is two counts, held against the allocator's: what is reserved there and what was taken. A
 * frame that comes back is reserved again, so the sum of both stays what it was made with. Single
 * pages come out of a small stock that was taken together: mostly without the allocator. */
#include "kernel/lib/hot_path.h"

#include "kernel/mm/frame_pool.h"

#include <linux/errno.h>

#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"

#define STOCK_ORDER 4

int frame_pool_create(struct frame_pool *pool, uint64_t frames)
{
    *pool = (struct frame_pool){0};
    int error = frames_reserve(frames);
    if (!error)
        pool->reserved = frames;
    return error;
}

/* What the stock holds is reserved for the pool again. */
static void give_stock_back(struct frame_pool *pool)
{
    for (; pool->stock > 0; pool->stock--, pool->next.value += PAGE_SIZE)
        if (frame_free_reserved(pool->next, FRAME_ORDER_4K))
            panic("frame pool: frame 0x%llx of the stock was not ours",
                  (unsigned long long)pool->next.value);
}

void frame_pool_destroy(struct frame_pool *pool)
{
    if (pool->taken)
        panic("frame pool: %llu frames were not given back", (unsigned long long)pool->taken);
    give_stock_back(pool);
    frames_unreserve(pool->reserved);
    pool->reserved = 0;
}

static void count_taken(struct frame_pool *pool, unsigned order)
{
    pool->reserved -= BIT(order);
    pool->taken += BIT(order);
}

int frame_pool_block(struct frame_pool *pool, unsigned order, hpa_t *block)
{
    /* the order first: the allocator refuses what is no order, and then there is no such shift */
    if (order <= FRAME_MAX_ORDER && BIT(order) > pool->reserved)
        return -ENOMEM;
    if (order <= FRAME_MAX_ORDER && BIT(order) > pool->reserved - pool->stock)
        give_stock_back(pool);
    int error = frame_alloc_reserved(order, block);
    if (!error)
        count_taken(pool, order);
    return error;
}

static __attribute__((noinline)) int fill_stock(struct frame_pool *pool)
{
    unsigned order = 0;
    while (order < STOCK_ORDER && BIT(order + 1) <= pool->reserved)
        order++;
    pool->stock = pool->reserved ? frames_take_reserved(order, &pool->next) : 0;
    return pool->stock ? 0 : -ENOMEM;
}

/* memset, without the call and the rest of less than a word. */
static inline void clear_page(void *page)
{
    uint64_t words = PAGE_SIZE / sizeof(uint64_t);
    __asm__ volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0ull) : "memory");
}

void *frame_pool_page(struct frame_pool *pool)
{
    if (pool->stock == 0 && fill_stock(pool))
        return NULL;
    void *page = phys_to_virt(pool->next);
    pool->next.value += PAGE_SIZE;
    pool->stock--;
    count_taken(pool, FRAME_ORDER_4K);
    clear_page(page);
    return page;
}

void frame_pool_free_block(struct frame_pool *pool, unsigned order, hpa_t block)
{
    if (frame_free_reserved(block, order))
        panic("frame pool: frame 0x%llx was not ours", (unsigned long long)block.value);
    pool->taken -= BIT(order);
    pool->reserved += BIT(order);
}

void frame_pool_free_page(struct frame_pool *pool, void *page)
{
    frame_pool_free_block(pool, FRAME_ORDER_4K, virt_to_phys(page));
}
