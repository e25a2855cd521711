/* SPDX-License-Identifier: MIT */
/* Pools: two of them and the frames of everyone else against a model of three counts, and what a
 * host bug leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/errno.h>
#include <cmocka.h>

#include "kernel/mm/frame_pool.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"

/* Low, because the metadata counts from physical address 0. */
#define ARENA_START 0x10000000ull
#define ARENA_SIZE  (4 * MIB)
#define ARENA_END   (ARENA_START + ARENA_SIZE)
#define FRAMES      (ARENA_SIZE / PAGE_SIZE)

static uint8_t metadata[ARENA_END / PAGE_SIZE];
static jmp_buf panicked;
static bool may_panic;

_Noreturn void panic(const char *format, ...)
{
    if (!may_panic)
        fail_msg("panic: %s", format);
    longjmp(panicked, 1);
}

static int set_up_arena(void **state)
{
    (void)state;
    void *arena = mmap((void *)ARENA_START, ARENA_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return arena == (void *)ARENA_START ? 0 : -1;
}

static int set_up_frames(void **state)
{
    (void)state;
    frames_init(metadata, HPA(ARENA_END));
    frames_add(HPA(ARENA_START), HPA(ARENA_END));
    return 0;
}

/* Every test gives all frames back. */
static int tear_down_frames(void **state)
{
    (void)state;
    may_panic = false;
    return frames_available_count() == FRAMES ? 0 : -1;
}

static void assert_zeroed(const void *page, unsigned order)
{
    const uint8_t *bytes = page;
    assert_int_equal(bytes[0], 0);
    assert_memory_equal(bytes, bytes + 1, (PAGE_SIZE << order) - 1);
}

static void a_reservation_is_counted_not_taken(void **state)
{
    (void)state;
    struct frame_pool pool = {.reserved = 5, .taken = 7}, other;
    assert_int_equal(frame_pool_create(&pool, FRAMES - 10), 0);
    assert_int_equal(pool.reserved, FRAMES - 10);
    assert_int_equal(pool.taken, 0);
    assert_int_equal(frames_free_count(), FRAMES);
    assert_int_equal(frames_available_count(), 10);

    other = (struct frame_pool){.reserved = 5, .taken = 7};
    assert_int_equal(frame_pool_create(&other, 11), -ENOMEM);
    assert_int_equal(frames_available_count(), 10);
    frame_pool_destroy(&other); /* a pool that was not made is empty */
    assert_int_equal(frame_pool_create(&other, 10), 0);
    assert_null(page_alloc());
    frame_pool_destroy(&other);
    frame_pool_destroy(&pool);
    frame_pool_destroy(&pool); /* and so is one that was destroyed */

    struct frame_pool zero = {0};
    frame_pool_destroy(&zero);
    assert_int_equal(frame_pool_create(&zero, 0), 0);
    assert_null(frame_pool_page(&zero));
    frame_pool_destroy(&zero);
}

static void a_pool_gives_what_it_reserved_and_no_more(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    void *pages[COUNT];
    struct frame_pool pool;
    assert_int_equal(frame_pool_create(&pool, COUNT), 0);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < COUNT; i++) {
            pages[i] = frame_pool_page(&pool);
            assert_non_null(pages[i]);
            assert_zeroed(pages[i], 0);
            memset(pages[i], 0xa5, PAGE_SIZE);
            assert_int_equal(pool.taken, i + 1);
            assert_int_equal(pool.reserved, COUNT - i - 1);
            assert_int_equal(frames_available_count(), FRAMES - COUNT);
        }
        assert_null(frame_pool_page(&pool));
        for (uint64_t i = 0; i < COUNT; i++)
            frame_pool_free_page(&pool, pages[i]);
        assert_int_equal(pool.reserved, COUNT);
        assert_int_equal(frames_available_count(), FRAMES - COUNT);
    }
    frame_pool_destroy(&pool);
}

/* The other half of the machine is cut up: no block is left, single pages come to the last one. */
static void fragments_still_give_pages(void **state)
{
    (void)state;
    static void *others[FRAMES];
    struct frame_pool pool;
    hpa_t block;
    for (size_t i = 0; i < FRAMES; i++) {
        others[i] = page_alloc();
        assert_non_null(others[i]);
    }
    for (size_t i = 0; i < FRAMES; i++)
        if (virt_to_phys(others[i]).value / PAGE_SIZE % 2)
            page_free(others[i]);
    assert_int_equal(frame_pool_create(&pool, FRAMES / 2), 0);
    for (unsigned order = 1; order <= FRAME_ORDER_1G; order++)
        assert_int_equal(frame_pool_block(&pool, order, &block), -ENOMEM);
    assert_int_equal(pool.reserved, FRAMES / 2);

    void *list = NULL;
    for (size_t i = 0; i < FRAMES / 2; i++) {
        void **page = frame_pool_page(&pool);
        assert_non_null(page);
        *page = list;
        list = page;
    }
    while (list != NULL) {
        void *page = list;
        list = *(void **)page;
        frame_pool_free_page(&pool, page);
    }
    frame_pool_destroy(&pool);
    for (size_t i = 0; i < FRAMES; i++)
        if (virt_to_phys(others[i]).value / PAGE_SIZE % 2 == 0)
            page_free(others[i]);
}

static void a_block_must_be_covered(void **state)
{
    (void)state;
    struct frame_pool pool;
    hpa_t block;
    assert_int_equal(frame_pool_create(&pool, BIT(FRAME_ORDER_2M) + 1), 0);
    struct frame_pool other; /* whose frames are no business of the first */
    assert_int_equal(frame_pool_create(&other, 100), 0);
    assert_int_equal(frame_pool_block(&pool, 10, &block), -ENOMEM);
    assert_int_equal(frame_pool_block(&pool, FRAME_MAX_ORDER + 1, &block), -ENOMEM);
    assert_int_equal(frame_pool_block(&pool, 64, &block), -ENOMEM);
    assert_int_equal(frame_pool_block(&pool, UINT32_MAX, &block), -ENOMEM);

    assert_int_equal(frame_pool_block(&pool, FRAME_ORDER_2M, &block), 0);
    assert_true(IS_ALIGNED(block.value, PAGE_SIZE_2M));
    assert_zeroed(phys_to_virt(block), FRAME_ORDER_2M);
    assert_int_equal(pool.taken, BIT(FRAME_ORDER_2M));
    assert_int_equal(pool.reserved, 1);
    hpa_t second;
    assert_int_equal(frame_pool_block(&pool, 1, &second), -ENOMEM);
    assert_int_equal(frame_pool_block(&pool, 0, &second), 0);
    frame_pool_free_block(&pool, 0, second);
    frame_pool_free_block(&pool, FRAME_ORDER_2M, block);
    frame_pool_destroy(&other);
    frame_pool_destroy(&pool);
}

/* Does `act` end in a panic? */
static bool panics(void (*act)(struct frame_pool *pool, void *page), struct frame_pool *pool,
                   void *page)
{
    may_panic = true;
    bool volatile caught = true;
    if (setjmp(panicked) == 0) {
        act(pool, page);
        caught = false;
    }
    may_panic = false;
    return caught;
}

static void destroy(struct frame_pool *pool, void *page)
{
    (void)page;
    frame_pool_destroy(pool);
}

static void free_as_block(struct frame_pool *pool, void *page)
{
    frame_pool_free_block(pool, 1, virt_to_phys(page));
}

static void host_bugs_panic(void **state)
{
    (void)state;
    struct frame_pool pool;
    assert_int_equal(frame_pool_create(&pool, 2), 0);
    void *page = frame_pool_page(&pool);
    assert_true(panics(destroy, &pool, NULL));
    assert_true(panics(free_as_block, &pool, page));
    assert_true(panics(frame_pool_free_page, &pool, (char *)page + 1));
    assert_false(panics(frame_pool_free_page, &pool, page));
    assert_true(panics(frame_pool_free_page, &pool, page));
    assert_int_equal(pool.taken, 0);
    assert_int_equal(pool.reserved, 2);
    assert_false(panics(destroy, &pool, NULL));
}

/* Two pools and the others, who all take single frames and give them back. */
struct holder {
    struct frame_pool *pool; /* NULL: the others */
    uint64_t count;
    void *list;
};

static void take(struct holder *h, uint64_t limit)
{
    void **page = h->pool ? frame_pool_page(h->pool) : page_alloc();
    assert_int_equal(page != NULL, h->count < limit);
    if (page == NULL)
        return;
    assert_zeroed(page, 0);
    *page = h->list;
    h->list = page;
    h->count++;
}

static void give(struct holder *h)
{
    void *page = h->list;
    if (page == NULL)
        return;
    h->list = *(void **)page;
    h->count--;
    if (h->pool)
        frame_pool_free_page(h->pool, page);
    else
        page_free(page);
}

static void nobody_takes_from_another(void **state)
{
    (void)state;
    struct frame_pool first, second;
    const uint64_t sizes[] = {300, 500, FRAMES - 800};
    assert_int_equal(frame_pool_create(&first, sizes[0]), 0);
    assert_int_equal(frame_pool_create(&second, sizes[1]), 0);
    struct holder holders[] = {{.pool = &first}, {.pool = &second}, {.pool = NULL}};
    srandom(3);
    for (int step = 0; step < 30000; step++) {
        size_t i = (size_t)random() % ARRAY_SIZE(holders);
        if (random() % 10 < ((step / 3000) % 2 ? 3 : 7))
            take(&holders[i], sizes[i]);
        else
            give(&holders[i]);
        for (size_t h = 0; h < 2; h++) {
            assert_int_equal(holders[h].pool->taken, holders[h].count);
            assert_int_equal(holders[h].pool->reserved, sizes[h] - holders[h].count);
        }
        assert_int_equal(frames_available_count(), sizes[2] - holders[2].count);
    }
    for (size_t i = 0; i < ARRAY_SIZE(holders); i++)
        while (holders[i].count > 0)
            give(&holders[i]);
    frame_pool_destroy(&first);
    frame_pool_destroy(&second);
}

#define pool_test(name) cmocka_unit_test_setup_teardown(name, set_up_frames, tear_down_frames)

int main(void)
{
    const struct CMUnitTest tests[] = {
        pool_test(a_reservation_is_counted_not_taken),
        pool_test(a_pool_gives_what_it_reserved_and_no_more),
        pool_test(fragments_still_give_pages),
        pool_test(a_block_must_be_covered),
        pool_test(host_bugs_panic),
        pool_test(nobody_takes_from_another),
    };
    return cmocka_run_group_tests(tests, set_up_arena, NULL);
}
