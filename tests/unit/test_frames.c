/* SPDX-License-Identifier: MIT */
/* The page-frame allocator against a model with one word a frame. The source is included, so that
 * its direct map starts at an arena: physical address 0 is the arena's first byte, and 1 GiB blocks
 * lie where they do on a machine. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

static uint8_t *arena;

#undef DIRECT_MAP_BASE
#define DIRECT_MAP_BASE ((uint64_t)(uintptr_t)arena)
#include "kernel/mm/frames.c"

#define ARENA_SIZE  (3 * GIB)
#define SMALL_END   (16 * MIB + 5 * PAGE_SIZE) /* the last block of each order is odd */
#define SMALL_COUNT (SMALL_END / PAGE_SIZE)

#define MODEL_FRAMES SMALL_COUNT
#include "tests/unit/frames_model.h"

static uint8_t *metadata; /* exactly as long as promised, so ASan sees a byte too far */

static void start(uint64_t end)
{
    free(metadata);
    metadata = malloc(end / PAGE_SIZE);
    assert_non_null(metadata);
    memset(metadata, 0xa5, end / PAGE_SIZE); /* frames_init must not trust what lies there */
    frames_init(metadata, HPA(end));
}

static int set_up_arena(void **state)
{
    (void)state;
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return arena == MAP_FAILED ? -1 : 0;
}

static int tear_down_arena(void **state)
{
    (void)state;
    free(metadata);
    return munmap(arena, ARENA_SIZE);
}

static void assert_zeroed(hpa_t frame, unsigned order)
{
    const uint8_t *bytes = arena + frame.value;
    assert_int_equal(bytes[0], 0);
    assert_memory_equal(bytes, bytes + 1, (PAGE_SIZE << order) - 1);
}

/* As many single frames as the smallest free block has: large blocks are not cut for them. */
static void single_frames_out_of_a_block(void **state)
{
    (void)state;
    hpa_t first, block, small;
    start(SMALL_END);
    frames_add(HPA(0), HPA(SMALL_END));
    assert_int_equal(frames_take_reserved(4, &first), 0); /* nothing is reserved */
    assert_int_equal(frames_reserve(40), 0);
    assert_int_equal(frame_alloc(6, &block), 0);
    uint64_t available = frames_available_count();
    while (frames_free_blocks(0) + frames_free_blocks(1) + frames_free_blocks(2) +
           frames_free_blocks(3))
        assert_int_equal(frame_alloc(0, &small), 0); /* the pieces before and behind it */
    assert_true(frames_available_count() < available);

    assert_int_equal(frames_take_reserved(4, &first), 16);
    for (uint64_t i = 0; i < 16; i++) {
        assert_int_equal(frame_free_reserved(HPA(first.value + i * PAGE_SIZE), 1), -EINVAL);
        assert_int_equal(frame_free_reserved(HPA(first.value + i * PAGE_SIZE), 0), 0);
        assert_int_equal(frame_free_reserved(HPA(first.value + i * PAGE_SIZE), 0), -EINVAL);
    }
    assert_int_equal(frame_free(small, 0), 0);
    assert_int_equal(frames_take_reserved(4, &first), 1);
    assert_int_equal(first.value, small.value);
    assert_int_equal(frames_take_reserved(4, &first), 16);
    assert_int_equal(frames_take_reserved(4, &first), 16);
    assert_int_equal(frames_take_reserved(4, &first), 4); /* of the seven that are still reserved */
}

static void starts_with_nothing(void **state)
{
    (void)state;
    hpa_t frame;
    start(SMALL_END);
    assert_int_equal(frames_free_count(), 0);
    assert_int_equal(frames_total_count(), 0);
    assert_int_equal(frame_alloc(0, &frame), -ENOMEM);
    assert_null(page_alloc());
}

/* Before, while and after blocks are split: they are counted by order, and nothing is lost. */
static void free_blocks_are_counted(void **state)
{
    (void)state;
    hpa_t frame;
    start(16 * MIB);
    frames_add(HPA(8 * MIB), HPA(16 * MIB));
    assert_int_equal(frames_free_blocks(11), 1); /* 8 MiB */
    assert_int_equal(sum_of_blocks(), 2048);
    assert_int_equal(frame_alloc(FRAME_ORDER_2M, &frame), 0);
    assert_int_equal(frames_free_blocks(11), 0);
    assert_int_equal(frames_free_blocks(10), 1);
    assert_int_equal(frames_free_blocks(9), 1);
    assert_int_equal(sum_of_blocks(), 2048 - 512);
    assert_int_equal(frame_free(frame, FRAME_ORDER_2M), 0);
    assert_int_equal(frames_free_blocks(11), 1);
    assert_int_equal(sum_of_blocks(), 2048);
    assert_int_equal(frames_free_blocks(FRAME_MAX_ORDER + 1), 0);
    start(16 * MIB);
    assert_int_equal(sum_of_blocks(), 0);
}

static void ranges_are_rounded_inwards_and_clipped(void **state)
{
    (void)state;
    static const struct {
        uint64_t start, end, count;
    } cases[] = {
        {0, PAGE_SIZE, 0}, /* frame 0 alone */
        {0, 2 * PAGE_SIZE, 1},
        {1, 2 * PAGE_SIZE, 1},
        {PAGE_SIZE, 2 * PAGE_SIZE, 1},
        {PAGE_SIZE + 1, 2 * PAGE_SIZE, 0},
        {PAGE_SIZE + 1, 3 * PAGE_SIZE - 1, 0},
        {PAGE_SIZE - 1, 3 * PAGE_SIZE + 1, 2},
        {8 * PAGE_SIZE, 8 * PAGE_SIZE, 0},
        {9 * PAGE_SIZE, 8 * PAGE_SIZE, 0},
        {SMALL_END - PAGE_SIZE, SMALL_END + 7 * PAGE_SIZE, 1},
        {SMALL_END, SMALL_END + PAGE_SIZE, 0},
        {SMALL_END - PAGE_SIZE, UINT64_MAX, 1},
        {UINT64_MAX, UINT64_MAX, 0},
        {UINT64_MAX - 1, 2 * PAGE_SIZE, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        start(SMALL_END);
        frames_add(HPA(cases[i].start), HPA(cases[i].end));
        assert_int_equal(frames_free_count(), cases[i].count);
        assert_int_equal(frames_total_count(), cases[i].count);
    }
}

static void neighbouring_ranges_join(void **state)
{
    (void)state;
    hpa_t frame;
    start(SMALL_END);
    frames_add(HPA(3 * MIB), HPA(4 * MIB));
    frames_add(HPA(2 * MIB), HPA(3 * MIB));
    assert_int_equal(frame_alloc(FRAME_ORDER_2M, &frame), 0);
    assert_int_equal(frame.value, 2 * MIB);
}

struct block {
    hpa_t frame;
    unsigned order;
    uint8_t pattern;
};

static void assert_pattern(const struct block *block)
{
    const uint8_t *bytes = arena + block->frame.value;
    assert_int_equal(bytes[0], block->pattern);
    assert_memory_equal(bytes, bytes + 1, (PAGE_SIZE << block->order) - 1);
}

static void model_take(struct block *block)
{
    uint64_t head = block->frame.value / PAGE_SIZE;
    assert_true(IS_ALIGNED(block->frame.value, PAGE_SIZE << block->order));
    assert_true(head + BIT(block->order) <= SMALL_COUNT);
    assert_true(model_all(head, block->order, 0));
    assert_zeroed(block->frame, block->order);
    model_set(head, block->order, (uint32_t)head + 1);
    memset(arena + block->frame.value, block->pattern, PAGE_SIZE << block->order);
}

static void model_give(const struct block *block)
{
    assert_pattern(block);
    model_set(block->frame.value / PAGE_SIZE, block->order, 0);
    assert_int_equal(frame_free(block->frame, block->order), 0);
    assert_int_equal(frame_free(block->frame, block->order), -EINVAL);
}

static void model_give_reserved(const struct block *block)
{
    assert_pattern(block);
    model_set(block->frame.value / PAGE_SIZE, block->order, 0);
    assert_int_equal(frame_free_reserved(block->frame, block->order), 0);
    assert_int_equal(frame_free_reserved(block->frame, block->order), -EINVAL);
}

static void random_steps_agree_with_the_model(void **state)
{
    (void)state;
    enum { HELD_MAX = 600, STEPS = 30000 };
    static struct block held[HELD_MAX];
    size_t count = 0;
    uint64_t free_frames = SMALL_COUNT - 3; /* without frame 0 and a hole */

    start(SMALL_END);
    frames_add(HPA(0), HPA(5 * MIB));
    frames_add(HPA(5 * MIB + 2 * PAGE_SIZE), HPA(SMALL_END));
    memset(owner, 0, sizeof(owner));
    owner[0] = owner[5 * MIB / PAGE_SIZE] = owner[5 * MIB / PAGE_SIZE + 1] = NOT_OURS;
    uint8_t canonical[SMALL_COUNT];
    memcpy(canonical, metadata, sizeof(canonical));

    srandom(1);
    for (int step = 0; step < STEPS; step++) {
        /* phases that mostly fill, then mostly empty */
        bool filling = (step / 500) % 2 == 0;
        bool take = random() % 10 < (filling ? 7 : 3);
        if (take && count < HELD_MAX) {
            struct block block = {.pattern = (uint8_t)(random() % 255 + 1)};
            block.order = (unsigned)__builtin_ctzl((unsigned long)random() | BIT(11));
            bool possible = model_has_block(block.order);
            int result = frame_alloc(block.order, &block.frame);
            assert_int_equal(result, possible ? 0 : -ENOMEM);
            if (possible) {
                model_take(&block);
                free_frames -= BIT(block.order);
                held[count++] = block;
            }
        } else if (count > 0) {
            size_t i = (size_t)random() % count;
            model_give(&held[i]);
            free_frames += BIT(held[i].order);
            held[i] = held[--count];
        }
        assert_int_equal(frames_free_count(), free_frames);
        assert_int_equal(frames_total_count(), SMALL_COUNT - 3);
    }
    while (count > 0)
        model_give(&held[--count]);
    assert_int_equal(frames_free_count(), SMALL_COUNT - 3);
    assert_memory_equal(metadata, canonical, sizeof(canonical));
}

/* Frames that are free, and how many of them are set aside. */
static uint64_t model_free, model_reserved;

static void random_reservation(void)
{
    uint64_t count = (uint64_t)random() % 1500;
    if (random() % 2) {
        bool possible = count <= model_free - model_reserved;
        assert_int_equal(frames_reserve(count), possible ? 0 : -ENOMEM);
        model_reserved += possible ? count : 0;
    } else {
        count = MIN(count, model_reserved);
        frames_unreserve(count);
        model_reserved -= count;
    }
}

static bool random_take(struct block *block)
{
    bool reserved = random() % 2;
    uint64_t most = reserved ? model_reserved : model_free - model_reserved;
    block->pattern = (uint8_t)(random() % 255 + 1);
    block->order = (unsigned)__builtin_ctzl((unsigned long)random() | BIT(11));
    bool possible = BIT(block->order) <= most && model_has_block(block->order);
    int result = reserved ? frame_alloc_reserved(block->order, &block->frame)
                          : frame_alloc(block->order, &block->frame);
    assert_int_equal(result, possible ? 0 : -ENOMEM);
    if (!possible)
        return false;
    model_take(block);
    model_free -= BIT(block->order);
    model_reserved -= reserved ? BIT(block->order) : 0;
    return true;
}

static void random_give(const struct block *block)
{
    model_free += BIT(block->order);
    if (random() % 2) {
        model_give(block);
    } else {
        model_give_reserved(block);
        model_reserved += BIT(block->order);
    }
}

static void reservations_agree_with_the_model(void **state)
{
    (void)state;
    enum { HELD_MAX = 600, STEPS = 30000 };
    static struct block held[HELD_MAX];
    size_t count = 0;

    start(SMALL_END);
    frames_add(HPA(0), HPA(SMALL_END));
    memset(owner, 0, sizeof(owner));
    owner[0] = NOT_OURS;
    model_free = SMALL_COUNT - 1;
    model_reserved = 0;
    srandom(2);
    for (int step = 0; step < STEPS; step++) {
        bool filling = (step / 500) % 2 == 0;
        if (random() % 8 == 0) {
            random_reservation();
        } else if (random() % 10 < (filling ? 7 : 3)) {
            count += count < HELD_MAX && random_take(&held[count]);
        } else if (count > 0) {
            size_t i = (size_t)random() % count;
            random_give(&held[i]);
            held[i] = held[--count];
        }
        assert_int_equal(frames_free_count(), model_free);
        assert_int_equal(sum_of_blocks(), model_free);
        assert_int_equal(frames_available_count(), model_free - model_reserved);
    }
    while (count > 0)
        random_give(&held[--count]);
    frames_unreserve(model_reserved);
    assert_int_equal(frames_available_count(), SMALL_COUNT - 1);
}

/* However the rest is cut up, so many single frames as are reserved come, and no other. */
static void reserved_frames_are_left_alone(void **state)
{
    (void)state;
    enum { RESERVED = 1000 };
    hpa_t frame;
    start(SMALL_END);
    frames_add(HPA(0), HPA(SMALL_END));
    assert_int_equal(frames_reserve(SMALL_COUNT), -ENOMEM);
    assert_int_equal(frames_reserve(UINT64_MAX), -ENOMEM);
    assert_int_equal(frames_reserve(RESERVED), 0);
    assert_int_equal(frames_reserve(UINT64_MAX), -ENOMEM);
    assert_int_equal(frames_reserve(SMALL_COUNT - 1 - RESERVED + 1), -ENOMEM);

    for (uint64_t left = SMALL_COUNT - 1 - RESERVED; left > 0; left--) {
        assert_int_equal(frames_available_count(), left);
        assert_int_equal(frame_alloc(0, &frame), 0);
    }
    assert_int_equal(frame_alloc(0, &frame), -ENOMEM);
    assert_null(page_alloc());
    assert_int_equal(frame_alloc_reserved(FRAME_MAX_ORDER + 1, &frame), -ENOMEM);
    assert_int_equal(frame_alloc_reserved(UINT32_MAX, &frame), -ENOMEM);
    for (unsigned i = 0; i < RESERVED; i++) {
        assert_int_equal(frame_alloc_reserved(0, &frame), 0);
        assert_zeroed(frame, 0);
        assert_int_equal(frame_alloc(0, &frame), -ENOMEM);
    }
    assert_int_equal(frame_alloc_reserved(0, &frame), -ENOMEM);

    /* given back for the reservation it is not for all; given back plainly it is */
    assert_int_equal(frame_free_reserved(frame, 1), -EINVAL);
    assert_int_equal(frame_free_reserved(frame, UINT32_MAX), -EINVAL);
    assert_int_equal(frame_free_reserved(frame, 0), 0);
    assert_int_equal(frame_alloc(0, &frame), -ENOMEM);
    assert_int_equal(frame_alloc_reserved(0, &frame), 0);
    assert_int_equal(frame_free(frame, 0), 0);
    assert_int_equal(frame_alloc_reserved(0, &frame), -ENOMEM);
    assert_int_equal(frame_alloc(0, &frame), 0);
}

static void every_frame_comes_once(void **state)
{
    (void)state;
    hpa_t frame;
    start(SMALL_END);
    frames_add(HPA(0), HPA(SMALL_END));
    uint8_t canonical[SMALL_COUNT], seen[SMALL_COUNT] = {0};
    memcpy(canonical, metadata, sizeof(canonical));

    for (uint64_t left = SMALL_COUNT - 1; left > 0; left--) {
        assert_int_equal(frames_free_count(), left);
        assert_int_equal(frame_alloc(0, &frame), 0);
        assert_true(frame.value > 0 && frame.value < SMALL_END);
        assert_int_equal(seen[frame.value / PAGE_SIZE]++, 0);
    }
    assert_int_equal(frames_free_count(), 0);
    for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++)
        assert_int_equal(frame_alloc(order, &frame), -ENOMEM);

    for (uint64_t number = 1; number < SMALL_COUNT; number++)
        assert_int_equal(frame_free(HPA(number * PAGE_SIZE), 0), 0);
    assert_memory_equal(metadata, canonical, sizeof(canonical));
}

static void what_was_not_handed_out_is_refused(void **state)
{
    (void)state;
    hpa_t block;
    start(SMALL_END);
    frames_add(HPA(2 * MIB), HPA(SMALL_END));
    assert_int_equal(frame_alloc(3, &block), 0);
    uint64_t free_frames = frames_free_count();

    const struct {
        uint64_t address;
        unsigned order;
    } cases[] = {
        {block.value, 2},
        {block.value, 4},
        {block.value, FRAME_MAX_ORDER + 1},
        {block.value, 64 + 3},
        {block.value, UINT32_MAX},
        {block.value + 1, 3},
        {block.value + PAGE_SIZE, 0},
        {block.value + 8 * PAGE_SIZE, 3}, /* its buddy, or one that is free */
        {0, 0},
        {MIB, 0}, /* below all that was added */
        {SMALL_END, 0},
        {UINT64_MAX & ~PAGE_MASK, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(frame_free(HPA(cases[i].address), cases[i].order), -EINVAL);
    assert_int_equal(frames_free_count(), free_frames);

    assert_int_equal(frame_free(block, 3), 0);
    assert_int_equal(frame_free(block, 3), -EINVAL);
    assert_int_equal(frames_free_count(), free_frames + 8);
}

static void blocks_end_at_the_largest_order(void **state)
{
    (void)state;
    hpa_t frame;
    start(ARENA_SIZE);
    frames_add(HPA(GIB), HPA(3 * GIB));
    assert_int_equal(frames_free_count(), 2 * GIB / PAGE_SIZE);
    assert_int_equal(frame_alloc(FRAME_MAX_ORDER + 1, &frame), -ENOMEM);

    /* Split one of the two and put it together again: joining must stop at 1 GiB. */
    assert_int_equal(frame_alloc(0, &frame), 0);
    assert_int_equal(frame_free(frame, 0), 0);
    assert_int_equal(metadata[GIB / PAGE_SIZE], FRAME_FREE | FRAME_ORDER_1G);
    assert_int_equal(metadata[2 * GIB / PAGE_SIZE], FRAME_FREE | FRAME_ORDER_1G);

    assert_int_equal(frame_alloc(0, &frame), 0);
    hpa_t large, none;
    assert_int_equal(frame_alloc(FRAME_ORDER_1G, &large), 0);
    assert_true(large.value == GIB || large.value == 2 * GIB);
    assert_true(large.value != ALIGN_DOWN(frame.value, GIB));
    assert_int_equal(frame_alloc(FRAME_ORDER_1G, &none), -ENOMEM);
    assert_int_equal(frame_free(large, FRAME_ORDER_1G), 0);
    assert_int_equal(frame_free(frame, 0), 0);
    assert_int_equal(frames_free_count(), 2 * GIB / PAGE_SIZE);
    madvise(arena, ARENA_SIZE, MADV_DONTNEED);
}

static sigjmp_buf trapped;

static void on_trap(int signal)
{
    siglongjmp(trapped, signal);
}

/* Does `act` execute UD2? */
static bool traps(void (*act)(void *argument), void *argument)
{
    struct sigaction action = {.sa_handler = on_trap}, old;
    assert_int_equal(sigaction(SIGILL, &action, &old), 0);
    bool volatile caught = true;
    if (sigsetjmp(trapped, 1) == 0) {
        act(argument);
        caught = false;
    }
    assert_int_equal(sigaction(SIGILL, &old, NULL), 0);
    return caught;
}

static bool page_free_traps(void *page)
{
    return traps(page_free, page);
}

static void unreserve(void *count)
{
    frames_unreserve(*(const uint64_t *)count);
}

static bool frames_unreserve_traps(uint64_t count)
{
    return traps(unreserve, &count);
}

static void no_more_is_unreserved_than_is_reserved(void **state)
{
    (void)state;
    start(SMALL_END);
    frames_add(HPA(0), HPA(SMALL_END));
    assert_int_equal(frames_reserve(3), 0);
    assert_true(frames_unreserve_traps(4));
    assert_false(frames_unreserve_traps(2));
    assert_true(frames_unreserve_traps(2));
    assert_false(frames_unreserve_traps(1));
    assert_false(frames_unreserve_traps(0));
    assert_int_equal(frames_available_count(), SMALL_COUNT - 1);
}

static void pages_by_pointer(void **state)
{
    (void)state;
    memset(arena + MIB, 0xee, 2 * PAGE_SIZE);
    start(SMALL_END);
    frames_add(HPA(MIB), HPA(MIB + 2 * PAGE_SIZE));

    uint8_t *first = page_alloc(), *second = page_alloc();
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    assert_null(page_alloc());
    assert_zeroed(virt_to_phys(first), 0);
    assert_zeroed(virt_to_phys(second), 0);

    assert_false(page_free_traps(first));
    assert_true(page_free_traps(first));
    assert_true(page_free_traps(second + 1));
    assert_true(page_free_traps(NULL));
    assert_false(page_free_traps(second));
    assert_int_equal(frames_free_count(), 2);
}

/* Which of the 64 frames at 1 MiB are in a thread's hands. */
static _Atomic bool in_hand[64];

/* Takes and gives back blocks; returns non-NULL when a frame was in two hands. The steps are few,
 * because a ticket lock is slow where the holder of the next ticket may be off its core. */
static void *work(void *context)
{
    for (unsigned step = 0; step < 1000; step++) {
        unsigned order = step % 3;
        hpa_t frame;
        bool reserved = step % 2;
        if ((reserved ? frame_alloc_reserved(order, &frame) : frame_alloc(order, &frame)) != 0)
            continue;
        uint64_t first = (frame.value - MIB) / PAGE_SIZE;
        bool shared = false;
        for (uint64_t i = first; i < first + BIT(order); i++)
            shared |= atomic_exchange(&in_hand[i], true);
        for (uint64_t i = first; i < first + BIT(order); i++)
            atomic_store(&in_hand[i], false);
        int freed = reserved ? frame_free_reserved(frame, order) : frame_free(frame, order);
        if (shared || freed != 0)
            return context;
    }
    return NULL;
}

static void cores_do_not_meet_in_a_frame(void **state)
{
    (void)state;
    pthread_t threads[2];
    start(SMALL_END);
    frames_add(HPA(MIB), HPA(MIB + 64 * PAGE_SIZE));
    assert_int_equal(frames_reserve(32), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, in_hand), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(frames_free_count(), 64);
    assert_int_equal(frames_available_count(), 32);
    assert_int_equal(metadata[MIB / PAGE_SIZE], FRAME_FREE | 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_with_nothing),
        cmocka_unit_test(free_blocks_are_counted),
        cmocka_unit_test(ranges_are_rounded_inwards_and_clipped),
        cmocka_unit_test(neighbouring_ranges_join),
        cmocka_unit_test(random_steps_agree_with_the_model),
        cmocka_unit_test(reservations_agree_with_the_model),
        cmocka_unit_test(reserved_frames_are_left_alone),
        cmocka_unit_test(no_more_is_unreserved_than_is_reserved),
        cmocka_unit_test(every_frame_comes_once),
        cmocka_unit_test(what_was_not_handed_out_is_refused),
        cmocka_unit_test(single_frames_out_of_a_block),
        cmocka_unit_test(blocks_end_at_the_largest_order),
        cmocka_unit_test(pages_by_pointer),
        cmocka_unit_test(cores_do_not_meet_in_a_frame),
    };
    return cmocka_run_group_tests(tests, set_up_arena, tear_down_arena);
}
