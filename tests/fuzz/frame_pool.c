/* SPDX-License-Identifier: MIT */
/* Two pools and everyone else take frames and give them back: each has exactly what it reserved,
 * whatever the others do, and no two have the same frame. A step is two bytes: the call, with who
 * makes it, and a number. */
#define ARENA_SIZE (128 * PAGE_SIZE)
#include "tests/fuzz/arena.h"

#include <linux/errno.h>

#include "kernel/mm/frame_pool.h"
#include "kernel/mm/phys.h"

#define FRAMES (ARENA_SIZE / PAGE_SIZE)
#define POOLS  2 /* the next one is everyone else */

static struct frame_pool pools[POOLS];
static uint64_t sizes[POOLS + 1], counts[POOLS + 1];

static struct block {
    size_t holder;
    hpa_t frame;
    unsigned order;
} held[FRAMES];
static size_t held_count;
static uint8_t owner[FRAMES];

static void mark(const struct block *block, bool taken)
{
    size_t head = (block->frame.value - ARENA_START) / PAGE_SIZE;

    for (size_t i = head; i < head + BIT(block->order); i++) {
        require(i < FRAMES && owner[i] != taken, "a frame that two have");
        owner[i] = taken;
    }
}

static void hold(size_t holder, hpa_t frame, unsigned order)
{
    struct block block = {holder, frame, order};

    require_zeroed((void *)frame.value, PAGE_SIZE << order);
    memset((void *)frame.value, 0xa5, PAGE_SIZE << order);
    mark(&block, true);
    held[held_count++] = block;
    counts[holder] += BIT(order);
}

static void take_page(size_t holder)
{
    void *page = holder < POOLS ? frame_pool_page(&pools[holder]) : page_alloc();

    require((page != NULL) == (counts[holder] < sizes[holder]), "a page against the reservation");
    if (page)
        hold(holder, virt_to_phys(page), 0);
}

static void take_block(size_t holder, unsigned order)
{
    hpa_t frame;
    int result = holder < POOLS ? frame_pool_block(&pools[holder], order, &frame)
                                : frame_alloc(order, &frame);

    require(result == 0 || result == -ENOMEM, "a result of its own");
    if (result)
        return; /* memory may be too fragmented */
    require(order <= FRAME_MAX_ORDER && BIT(order) <= sizes[holder] - counts[holder],
            "a block beyond the reservation");
    hold(holder, frame, order);
}

static void give(size_t i)
{
    struct block block = held[i];

    held[i] = held[--held_count];
    mark(&block, false);
    counts[block.holder] -= BIT(block.order);
    if (block.holder == POOLS)
        require(frame_free(block.frame, block.order) == 0, "not taken back");
    else if (block.order == 0)
        frame_pool_free_page(&pools[block.holder], phys_to_virt(block.frame));
    else
        frame_pool_free_block(&pools[block.holder], block.order, block.frame);
}

/* The pool begins anew, with another size. */
static void make_pool(size_t holder, uint64_t size)
{
    if (counts[holder] > 0)
        return;
    frame_pool_destroy(&pools[holder]);
    sizes[POOLS] += sizes[holder];
    bool possible = size <= sizes[POOLS] - counts[POOLS];
    require(frame_pool_create(&pools[holder], size) == (possible ? 0 : -ENOMEM), "a new pool");
    sizes[holder] = possible ? size : 0;
    sizes[POOLS] -= sizes[holder];
}

static void check_counts(void)
{
    for (size_t i = 0; i < POOLS; i++)
        require(pools[i].taken == counts[i] && pools[i].reserved == sizes[i] - counts[i],
                "the counts of a pool");
    require(frames_available_count() == sizes[POOLS] - counts[POOLS], "the others' frames");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    arena_start();
    memset(pools, 0, sizeof(pools));
    memset(counts, 0, sizeof(counts));
    memset(owner, 0, sizeof(owner));
    held_count = 0;
    sizes[0] = sizes[1] = 0;
    sizes[POOLS] = FRAMES;
    while (input.left > 0) {
        uint8_t call = (uint8_t)draw(&input, 1), number = (uint8_t)draw(&input, 1);
        size_t holder = (call >> 4) % (POOLS + 1);
        switch (call % 4) {
        case 0: take_page(holder); break;
        case 1: take_block(holder, number < 8 ? number : number / 4); break;
        case 2:
            if (held_count > 0)
                give(number % held_count);
            break;
        case 3: make_pool(holder % POOLS, number); break;
        }
        check_counts();
    }
    while (held_count > 0)
        give(held_count - 1);
    for (size_t i = 0; i < POOLS; i++)
        frame_pool_destroy(&pools[i]);
    arena_end();
    return 0;
}
