/* SPDX-License-Identifier: MIT */
/* The page-frame allocator: binary buddies (Knowlton 1965; Knuth, TAOCP Vol. 1, 2.5). A block is
 * 2^order frames, aligned to its size; only its first frame, the head, has a state. Free blocks of
 * one order hang in one list, whose links lie in the blocks' own first bytes. */
#include "kernel/mm/frames.h"

#include <linux/errno.h>
#include <string.h>
#include <sys/queue.h>
#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/phys.h"

/* A frame's byte of metadata: its state, and for a head the order of its block. */
#define FRAME_NO_HEAD 0x00 /* inside a block, or not the allocator's */
#define FRAME_FREE    0x40 /* | order: head of a free block */
#define FRAME_USED    0x80 /* | order: head of a block handed out */
#define FRAME_ORDER   0x3f /* mask of the order */
#define FRAME_ORDERS  (FRAME_MAX_ORDER + 1)

struct free_block {
    LIST_ENTRY(free_block) link;
};

LIST_HEAD(free_list, free_block);

/* Frames go by number here: physical address / PAGE_SIZE. */
static struct {
    struct spinlock lock; /* over all that follows */
    uint8_t *state;       /* the metadata, by frame number */
    uint64_t end;         /* the first frame number without metadata */
    uint64_t free_count;
    uint64_t reserved_count; /* of the free ones, never more than they */
    uint64_t total_count;
    struct free_list free[FRAME_ORDERS]; /* by order */
    uint64_t blocks[FRAME_ORDERS];       /* the lengths of these lists */
} pool;

static struct free_block *block_of(uint64_t number)
{
    return phys_to_virt(HPA(number << PAGE_SHIFT));
}

static uint64_t number_of(const struct free_block *block)
{
    return virt_to_phys(block).value >> PAGE_SHIFT;
}

static void push_block(uint64_t number, unsigned order)
{
    pool.state[number] = (uint8_t)(FRAME_FREE | order);
    LIST_INSERT_HEAD(&pool.free[order], block_of(number), link);
    pool.blocks[order]++;
}

static void remove_block(uint64_t number)
{
    LIST_REMOVE(block_of(number), link);
    pool.blocks[pool.state[number] & FRAME_ORDER]--;
    pool.state[number] = FRAME_NO_HEAD;
}

static bool is_free_block(uint64_t number, unsigned order)
{
    return number < pool.end && pool.state[number] == (FRAME_FREE | order);
}

/* Puts a block among the free ones, joined with its buddy for as long as that one is free too. */
static void join_and_push(uint64_t number, unsigned order)
{
    pool.free_count += BIT(order);
    for (; order < FRAME_MAX_ORDER; order++) {
        uint64_t buddy = number ^ BIT(order);
        if (!is_free_block(buddy, order))
            break;
        remove_block(buddy);
        number = MIN(number, buddy);
    }
    push_block(number, order);
}

/* Takes a block from the smallest order that has one and gives the halves that are not needed
 * back. Returns false when no order has one. */
static bool take_block(unsigned order, uint64_t *number)
{
    unsigned from = order;
    while (from < FRAME_ORDERS && LIST_EMPTY(&pool.free[from]))
        from++;
    if (from >= FRAME_ORDERS)
        return false;

    *number = number_of(LIST_FIRST(&pool.free[from]));
    remove_block(*number);
    while (from > order) {
        from--;
        push_block(*number + BIT(from), from);
    }
    pool.state[*number] = (uint8_t)(FRAME_USED | order);
    pool.free_count -= BIT(order);
    return true;
}

/* The largest block that may start at frame `number` and ends at or before `end`. */
static unsigned largest_order(uint64_t number, uint64_t end)
{
    unsigned order = 0;
    while (order < FRAME_MAX_ORDER && IS_ALIGNED(number, BIT(order + 1)) &&
           end - number >= BIT(order + 1))
        order++;
    return order;
}

void frames_init(uint8_t *metadata, hpa_t end)
{
    spin_lock(&pool.lock);
    pool.state = metadata;
    pool.end = end.value >> PAGE_SHIFT;
    pool.free_count = 0;
    pool.reserved_count = 0;
    pool.total_count = 0;
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        LIST_INIT(&pool.free[order]);
        pool.blocks[order] = 0;
    }
    memset(metadata, FRAME_NO_HEAD, pool.end);
    spin_unlock(&pool.lock);
}

void frames_add(hpa_t start, hpa_t end)
{
    spin_lock(&pool.lock);
    /* Rounding up by shifts cannot wrap; frame 0 would be the NULL of physical addresses. */
    uint64_t number = (start.value >> PAGE_SHIFT) + ((start.value & PAGE_MASK) != 0);
    number = MAX(number, 1);
    uint64_t last = MIN(end.value >> PAGE_SHIFT, pool.end);
    while (number < last) {
        unsigned order = largest_order(number, last);
        join_and_push(number, order);
        pool.total_count += BIT(order);
        number += BIT(order);
    }
    spin_unlock(&pool.lock);
}

int frames_reserve(uint64_t count)
{
    spin_lock(&pool.lock);
    bool enough = count <= pool.free_count - pool.reserved_count;
    if (enough)
        pool.reserved_count += count;
    spin_unlock(&pool.lock);
    return enough ? 0 : -ENOMEM;
}

void frames_unreserve(uint64_t count)
{
    spin_lock(&pool.lock);
    bool valid = count <= pool.reserved_count;
    if (valid)
        pool.reserved_count -= count;
    spin_unlock(&pool.lock);
    /* As in page_free: a host bug that no caller could mend. */
    if (!valid)
        __builtin_trap();
}

/* The block is the caller's alone by now: up to 1 GiB is cleared without holding up other cores. */
static void clear_block(uint64_t number, unsigned order, hpa_t *frame)
{
    *frame = HPA(number << PAGE_SHIFT);
    memset(phys_to_virt(*frame), 0, PAGE_SIZE << order);
}

int frame_alloc(unsigned order, hpa_t *frame)
{
    uint64_t number;
    if (order > FRAME_MAX_ORDER)
        return -ENOMEM;

    spin_lock(&pool.lock);
    bool taken = BIT(order) <= pool.free_count - pool.reserved_count && take_block(order, &number);
    spin_unlock(&pool.lock);
    if (!taken)
        return -ENOMEM;
    clear_block(number, order, frame);
    return 0;
}

int frame_alloc_reserved(unsigned order, hpa_t *frame)
{
    uint64_t number;
    if (order > FRAME_MAX_ORDER)
        return -ENOMEM;

    spin_lock(&pool.lock);
    bool taken = BIT(order) <= pool.reserved_count && take_block(order, &number);
    if (taken)
        pool.reserved_count -= BIT(order);
    spin_unlock(&pool.lock);
    if (!taken)
        return -ENOMEM;
    clear_block(number, order, frame);
    return 0;
}

uint64_t frames_take_reserved(unsigned max_order, hpa_t *first)
{
    unsigned order = 0;
    uint64_t number;
    spin_lock(&pool.lock);
    while (order < max_order && LIST_EMPTY(&pool.free[order]) &&
           BIT(order + 1) <= pool.reserved_count)
        order++;
    bool taken = BIT(order) <= pool.reserved_count && take_block(order, &number);
    if (taken) {
        pool.reserved_count -= BIT(order);
        memset(pool.state + number, FRAME_USED | FRAME_ORDER_4K, BIT(order));
        *first = HPA(number << PAGE_SHIFT);
    }
    spin_unlock(&pool.lock);
    return taken ? BIT(order) : 0;
}

static bool is_used_block(hpa_t frame, unsigned order)
{
    uint64_t number = frame.value >> PAGE_SHIFT;
    return order <= FRAME_MAX_ORDER && IS_ALIGNED(frame.value, PAGE_SIZE) && number < pool.end &&
           pool.state[number] == (FRAME_USED | order);
}

/* Frees a block, of which `reserve` frames become reserved before anyone can take them. */
static int give_back(hpa_t frame, unsigned order, uint64_t reserve)
{
    spin_lock(&pool.lock);
    bool valid = is_used_block(frame, order);
    if (valid) {
        uint64_t number = frame.value >> PAGE_SHIFT;
        pool.state[number] = FRAME_NO_HEAD;
        join_and_push(number, order);
        pool.reserved_count += reserve;
    }
    spin_unlock(&pool.lock);
    return valid ? 0 : -EINVAL;
}

int frame_free(hpa_t frame, unsigned order)
{
    return give_back(frame, order, 0);
}

int frame_free_reserved(hpa_t frame, unsigned order)
{
    return give_back(frame, order, order <= FRAME_MAX_ORDER ? BIT(order) : 0);
}

uint64_t frames_free_count(void)
{
    spin_lock(&pool.lock);
    uint64_t count = pool.free_count;
    spin_unlock(&pool.lock);
    return count;
}

uint64_t frames_available_count(void)
{
    spin_lock(&pool.lock);
    uint64_t count = pool.free_count - pool.reserved_count;
    spin_unlock(&pool.lock);
    return count;
}

uint64_t frames_total_count(void)
{
    spin_lock(&pool.lock);
    uint64_t count = pool.total_count;
    spin_unlock(&pool.lock);
    return count;
}

uint64_t frames_free_blocks(unsigned order)
{
    if (order > FRAME_MAX_ORDER)
        return 0;
    spin_lock(&pool.lock);
    uint64_t count = pool.blocks[order];
    spin_unlock(&pool.lock);
    return count;
}

hpa_t frames_end(void)
{
    return HPA(pool.end << PAGE_SHIFT); /* never changes behind frames_init */
}

/* What a look at all metadata counts. */
struct tally {
    uint64_t free, total, blocks[FRAME_ORDERS];
};

/* Is the block whole: aligned, within memory, one head, and nothing behind it? */
static bool is_whole(uint64_t number, unsigned order)
{
    const uint64_t step = sizeof(uint64_t);
    uint64_t i = 1;
    if (order > FRAME_MAX_ORDER || !IS_ALIGNED(number, BIT(order)) ||
        BIT(order) > pool.end - number)
        return false;
    while (i < MIN(BIT(order), step) && pool.state[number + i] == FRAME_NO_HEAD)
        i++;
    /* the rest at once: metadata is aligned, and FRAME_NO_HEAD is 0 */
    while (i >= step && i < BIT(order) && *(const uint64_t *)(pool.state + number + i) == 0)
        i += step;
    return i == BIT(order);
}

/* The first frame from `number` on that is a head, or pool.end. */
static uint64_t next_head(uint64_t number)
{
    while (number < pool.end && pool.state[number] == FRAME_NO_HEAD)
        number++;
    return number;
}

static bool check_blocks(struct tally *tally,
                         void (*visit)(hpa_t block, unsigned order, bool free, void *context),
                         void *context, char error[FRAMES_ERROR_MAX])
{
    for (uint64_t number = 0; (number = next_head(number)) < pool.end;) {
        uint8_t state = pool.state[number];
        unsigned order = state & FRAME_ORDER;
        bool free = (state & ~FRAME_ORDER) == FRAME_FREE;
        if ((!free && (state & ~FRAME_ORDER) != FRAME_USED) || !is_whole(number, order)) {
            snprintf(error, FRAMES_ERROR_MAX, "frame 0x%llx: no block begins like this: 0x%x",
                     (unsigned long long)(number << PAGE_SHIFT), state);
            return false;
        }
        tally->total += BIT(order);
        tally->free += free ? BIT(order) : 0;
        tally->blocks[order] += free;
        visit(HPA(number << PAGE_SHIFT), order, free, context);
        number += BIT(order);
    }
    return true;
}

/* Does the list have `count` blocks, all of them free ones of this order? */
static bool is_list_whole(unsigned order, uint64_t count)
{
    const struct free_block *block = LIST_FIRST(&pool.free[order]);
    for (; count > 0 && block && is_free_block(number_of(block), order); count--)
        block = LIST_NEXT(block, link);
    return count == 0 && !block;
}

static bool check_counts(const struct tally *tally, char error[FRAMES_ERROR_MAX])
{
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        if (tally->blocks[order] == pool.blocks[order] &&
            is_list_whole(order, tally->blocks[order]))
            continue;
        snprintf(error, FRAMES_ERROR_MAX, "%llu blocks of order %u are free, the list of %llu says "
                 "otherwise", (unsigned long long)tally->blocks[order], order,
                 (unsigned long long)pool.blocks[order]);
        return false;
    }
    if (tally->free == pool.free_count && tally->total == pool.total_count &&
        pool.reserved_count <= pool.free_count)
        return true;
    snprintf(error, FRAMES_ERROR_MAX, "%llu frames of %llu are free, the counts say %llu of %llu, "
             "%llu reserved", (unsigned long long)tally->free, (unsigned long long)tally->total,
             (unsigned long long)pool.free_count, (unsigned long long)pool.total_count,
             (unsigned long long)pool.reserved_count);
    return false;
}

bool frames_check(void (*visit)(hpa_t block, unsigned order, bool free, void *context),
                  void *context, char error[FRAMES_ERROR_MAX])
{
    struct tally tally = {0};
    spin_lock(&pool.lock);
    bool good = check_blocks(&tally, visit, context, error) && check_counts(&tally, error);
    spin_unlock(&pool.lock);
    return good;
}

void *page_alloc(void)
{
    hpa_t frame;
    return frame_alloc(FRAME_ORDER_4K, &frame) == 0 ? phys_to_virt(frame) : NULL;
}

void page_free(void *page)
{
    /* A host bug that no caller could mend: the #UD shows where. */
    if (frame_free(virt_to_phys(page), FRAME_ORDER_4K) != 0)
        __builtin_trap();
}
