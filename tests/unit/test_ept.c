/* SPDX-License-Identifier: MIT */
/* EPT paging structures against a dictionary of leaves that knows nothing of tables, and the bits
 * of entries against SDM Vol. 3C, tables 28-1 to 28-7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/errno.h>
#include <cmocka.h>
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"
#include "vmx/ept.h"

#define LEAVES_MAX 16384
#include "tests/unit/ept_model.h"

/* Low, because the metadata counts from physical address 0. */
#define ARENA_START 0x10000000ull
#define ARENA_SIZE  (16 * MIB)
#define ARENA_END   (ARENA_START + ARENA_SIZE)

#define GUEST_LIMIT (1ull << 48)
#define HOST_LIMIT  (1ull << 52)
#define IGNORE_PAT  0x40u /* of every leaf */

static uint8_t metadata[ARENA_END / PAGE_SIZE];

/* All frames are in it: tables come from nowhere else. */
static struct frame_pool pool;

_Noreturn void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
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
    return frame_pool_create(&pool, frames_total_count());
}

/* Every test gives all frames back. */
static int tear_down_frames(void **state)
{
    (void)state;
    if (pool.taken > 0)
        return -1;
    frame_pool_destroy(&pool);
    return frames_available_count() == frames_total_count() ? 0 : -1;
}

/* Leaves `left` frames in the pool; the rest hang in a list through their first words. */
static void *hoard;

static void keep_frames(uint64_t left)
{
    while (pool.reserved > left) {
        void *page = frame_pool_page(&pool);
        assert_non_null(page);
        *(void **)page = hoard;
        hoard = page;
    }
}

static void release_frames(void)
{
    while (hoard != NULL) {
        void *page = hoard;
        hoard = *(void **)page;
        frame_pool_free_page(&pool, page);
    }
}

static void entries_are_those_of_the_sdm(void **state)
{
    (void)state;
    static const struct {
        uint64_t guest, host;
        unsigned order, level;
        uint8_t access;
        enum ept_memory_type type;
        uint64_t entry;
    } cases[] = {
        {0x0, 0x7000, FRAME_ORDER_4K, 0, EPT_READ, EPT_UC, 0x7041},
        {0x1000, 0x7000, FRAME_ORDER_4K, 0, EPT_RX, EPT_WB, 0x7075},
        {0x2000, 0xffffffffff000, FRAME_ORDER_4K, 0, EPT_RWX, EPT_WB, 0xffffffffff077},
        {0x200000, 0x400000, FRAME_ORDER_2M, 1, EPT_RW, EPT_UC, 0x4000c3},
        {0xfffffe00000, 0xfffffffe00000, FRAME_ORDER_2M, 1, EPT_RWX, EPT_WB, 0xfffffffe000f7},
        {0x40000000, 0xc0000000, FRAME_ORDER_1G, 2, EPT_RX, EPT_WB, 0xc00000f5},
        {0xffffc0000000, 0xfffffc0000000, FRAME_ORDER_1G, 2, EPT_RW, EPT_UC, 0xfffffc00000c3},
    };
    struct ept ept;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(ept_map(&ept, GPA(cases[i].guest), HPA(cases[i].host), cases[i].order,
                                 cases[i].access, cases[i].type),
                         0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned level;
        assert_int_equal(raw_walk(&ept, cases[i].guest, &level), cases[i].entry);
        assert_int_equal(level, cases[i].level);
    }
    ept_destroy(&ept);
}

static void create_takes_one_frame(void **state)
{
    (void)state;
    struct ept ept;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_4K, &pool), 0);
    assert_int_equal(ept.table_count, 1);
    assert_int_equal(pool.taken, 1);
    ept_destroy(&ept);

    assert_int_equal(ept_create(&ept, 1, &pool), -EINVAL);
    assert_int_equal(ept_create(&ept, 27, &pool), -EINVAL);
    keep_frames(0);
    assert_int_equal(ept_create(&ept, FRAME_ORDER_4K, &pool), -ENOMEM);
    release_frames();
}

static void map_refuses_what_is_no_mapping(void **state)
{
    (void)state;
    static const struct {
        uint64_t guest, host;
        unsigned order;
        uint8_t access, type;
    } cases[] = {
        {0, 0, FRAME_ORDER_4K, 0, EPT_WB},
        {0, 0, FRAME_ORDER_4K, EPT_WRITE, EPT_WB},
        {0, 0, FRAME_ORDER_4K, EPT_WRITE | EPT_EXECUTE, EPT_WB},
        {0, 0, FRAME_ORDER_4K, EPT_RWX | 8, EPT_WB},
        {0, 0, FRAME_ORDER_4K, EPT_RWX | 0x80, EPT_WB},
        {0, 0, FRAME_ORDER_4K, EPT_RWX, 1},
        {0, 0, FRAME_ORDER_4K, EPT_RWX, 2}, /* 2, 3 and 7 are misconfigurations */
        {0, 0, FRAME_ORDER_4K, EPT_RWX, 7},
        {0, 0, FRAME_ORDER_4K, EPT_RWX, EPT_WB + 8},
        {0, 0, 1, EPT_RWX, EPT_WB},
        {0, 0, 8, EPT_RWX, EPT_WB},
        {0, 0, 27, EPT_RWX, EPT_WB},
        {0, 0, UINT32_MAX, EPT_RWX, EPT_WB},
        {GUEST_LIMIT, 0, FRAME_ORDER_4K, EPT_RWX, EPT_WB},
        {UINT64_MAX & ~PAGE_MASK, 0, FRAME_ORDER_4K, EPT_RWX, EPT_WB},
        {0, HOST_LIMIT, FRAME_ORDER_4K, EPT_RWX, EPT_WB},
        {0, 1ull << 63, FRAME_ORDER_4K, EPT_RWX, EPT_WB},
        {1, 0, FRAME_ORDER_4K, EPT_RWX, EPT_WB},
        {0, 0x800, FRAME_ORDER_4K, EPT_RWX, EPT_WB},
        {PAGE_SIZE, 0, FRAME_ORDER_2M, EPT_RWX, EPT_WB},
        {0, PAGE_SIZE, FRAME_ORDER_2M, EPT_RWX, EPT_WB},
        {MIB, 0, FRAME_ORDER_2M, EPT_RWX, EPT_WB},
        {PAGE_SIZE_2M, 0, FRAME_ORDER_1G, EPT_RWX, EPT_WB},
        {0, PAGE_SIZE_2M, FRAME_ORDER_1G, EPT_RWX, EPT_WB},
    };
    struct ept ept;
    struct ept_leaf leaf;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(ept_map(&ept, GPA(cases[i].guest), HPA(cases[i].host), cases[i].order,
                                 cases[i].access, (enum ept_memory_type)cases[i].type),
                         -EINVAL);
    assert_int_equal(ept.table_count, 1);
    assert_int_equal(ept_walk(&ept, GPA(0), &leaf), -ENOENT);
    ept_destroy(&ept);
}

static void no_leaf_is_larger_than_the_capability(void **state)
{
    (void)state;
    static const unsigned orders[] = {FRAME_ORDER_4K, FRAME_ORDER_2M, FRAME_ORDER_1G};
    for (size_t max = 0; max < ARRAY_SIZE(orders); max++) {
        struct ept ept;
        assert_int_equal(ept_create(&ept, orders[max], &pool), 0);
        assert_int_equal(ept.max_order, orders[max]);
        for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
            assert_int_equal(ept_map(&ept, GPA(i * GIB), HPA(0), orders[i], EPT_RWX, EPT_WB),
                             i <= max ? 0 : -EINVAL);
        ept_destroy(&ept);
    }
}

static void what_is_mapped_stays(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_leaf leaf;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    assert_int_equal(ept_map(&ept, GPA(PAGE_SIZE), HPA(0), FRAME_ORDER_4K, EPT_RW, EPT_WB), 0);
    assert_int_equal(ept_map(&ept, GPA(GIB), HPA(0), FRAME_ORDER_1G, EPT_RW, EPT_WB), 0);
    assert_int_equal(ept.table_count, 4);

    /* the same, a larger one over it, a smaller one inside */
    assert_int_equal(ept_map(&ept, GPA(PAGE_SIZE), HPA(0), 0, EPT_RW, EPT_WB), -EEXIST);
    assert_int_equal(ept_map(&ept, GPA(0), HPA(0), FRAME_ORDER_2M, EPT_RW, EPT_WB), -EEXIST);
    assert_int_equal(ept_map(&ept, GPA(0), HPA(0), FRAME_ORDER_1G, EPT_RW, EPT_WB), -EEXIST);
    assert_int_equal(ept_map(&ept, GPA(GIB), HPA(0), FRAME_ORDER_2M, EPT_RW, EPT_WB), -EEXIST);
    assert_int_equal(ept_map(&ept, GPA(2 * GIB - PAGE_SIZE), HPA(0), 0, EPT_RW, EPT_WB), -EEXIST);
    assert_int_equal(ept.table_count, 4);

    assert_int_equal(ept_unmap(&ept, GPA(0), &leaf), -ENOENT);
    assert_int_equal(ept_unmap(&ept, GPA(GUEST_LIMIT + GIB), &leaf), -ENOENT);
    assert_int_equal(ept_walk(&ept, GPA(GUEST_LIMIT + GIB), &leaf), -ENOENT);
    assert_int_equal(ept_unmap(&ept, GPA(GIB + 0x12345678), &leaf), 0);
    assert_int_equal(leaf.order, FRAME_ORDER_1G);
    assert_int_equal(leaf.address.value, 0x12345678);
    assert_int_equal(ept.table_count, 4);
    assert_int_equal(ept_unmap(&ept, GPA(PAGE_SIZE), &leaf), 0);
    assert_int_equal(ept.table_count, 1);
    ept_destroy(&ept);
}

static void protect_refuses_bad_ranges(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_leaf leaf;
    const uint64_t last = GUEST_LIMIT - PAGE_SIZE;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    assert_int_equal(ept_map(&ept, GPA(0), HPA(0), FRAME_ORDER_2M, EPT_RW, EPT_WB), 0);
    assert_int_equal(ept_map(&ept, GPA(last), HPA(0), FRAME_ORDER_4K, EPT_RW, EPT_WB), 0);
    const uint32_t tables = ept.table_count;

    assert_int_equal(ept_protect(&ept, GPA(1), PAGE_SIZE, EPT_READ), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(0), PAGE_SIZE + 1, EPT_READ), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(0), PAGE_SIZE, 0), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(0), PAGE_SIZE, EPT_WRITE), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(0), PAGE_SIZE, EPT_RWX | 8), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(last), 2 * PAGE_SIZE, EPT_READ), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(last), UINT64_MAX & ~PAGE_MASK, EPT_READ), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(GUEST_LIMIT), 0, EPT_READ), -EINVAL);
    assert_int_equal(ept_protect(&ept, GPA(PAGE_SIZE), PAGE_SIZE_2M, EPT_READ), -ENOENT);
    assert_int_equal(ept_protect(&ept, GPA(MIB), 0, EPT_READ), 0);
    assert_int_equal(ept.table_count, tables);
    assert_int_equal(ept_walk(&ept, GPA(PAGE_SIZE), &leaf), 0);
    assert_int_equal(leaf.access, EPT_RW);
    assert_int_equal(ept_protect(&ept, GPA(last), PAGE_SIZE, EPT_READ), 0);
    ept_destroy(&ept);
}

static struct model model, next;

static void assert_next_leaf(gpa_t guest, const struct ept_leaf *leaf, void *context)
{
    size_t *i = context;
    assert_true(*i < model.count);
    const struct leaf *wanted = &model.leaves[(*i)++];
    assert_int_equal(guest.value, wanted->guest);
    assert_int_equal(leaf->address.value, wanted->host);
    assert_int_equal(leaf->order, wanted->order);
    assert_int_equal(leaf->access, wanted->access);
    assert_int_equal(leaf->memory_type, wanted->type);
}

/* There is room exactly where no leaf of the model begins before the end and ends behind the
 * start. */
static void assert_room_as_model(const struct ept *ept, uint64_t guest)
{
    for (unsigned order = 0; order <= FRAME_ORDER_1G && guest < GUEST_LIMIT; order += 9) {
        uint64_t size = PAGE_SIZE << order, start = ALIGN_DOWN(guest, size);
        size_t i = model_position(&model, start);
        bool room = i == model.count || model.leaves[i].guest >= start + size;
        assert_int_equal(ept_has_room(ept, GPA(start), order), room);
    }
}

static void assert_walks_as_model(const struct ept *ept, uint64_t guest)
{
    struct ept_leaf leaf;
    unsigned level;
    assert_room_as_model(ept, guest);
    const struct leaf *wanted = model_find(&model, guest);
    if (wanted == NULL) {
        assert_int_equal(ept_walk(ept, GPA(guest), &leaf), -ENOENT);
        if (guest < GUEST_LIMIT)
            assert_int_equal(raw_walk(ept, guest, &level), 0);
        return;
    }
    assert_int_equal(ept_walk(ept, GPA(guest), &leaf), 0);
    assert_int_equal(leaf.address.value, wanted->host + (guest - wanted->guest));
    assert_int_equal(leaf.order, wanted->order);
    assert_int_equal(leaf.access, wanted->access);
    assert_int_equal(leaf.memory_type, wanted->type);
    assert_int_equal(raw_walk(ept, guest, &level), wanted->host | wanted->access |
                                                       wanted->type << 3 | IGNORE_PAT |
                                                       (wanted->order > 0 ? 0x80 : 0));
    assert_int_equal(level, wanted->order / 9);
}

static void assert_is_model(const struct ept *ept, uint64_t frames_at_start)
{
    size_t seen = 0;
    ept_for_each(ept, assert_next_leaf, &seen);
    assert_int_equal(seen, model.count);
    assert_int_equal(ept->table_count, model_tables(&model));
    release_frames();
    assert_int_equal(frames_at_start - pool.reserved, ept->table_count);
}

static uint64_t pick(uint64_t count)
{
    return (uint64_t)random() % count;
}

/* Addresses that crowd around the borders of tables. */
static uint64_t pick_guest(void)
{
    static const uint64_t bases[] = {0, 511 * GIB, 512 * GIB, GUEST_LIMIT - 3 * GIB};
    static const uint64_t offsets[] = {0, PAGE_SIZE_2M, GIB - PAGE_SIZE_2M, GIB, 2 * GIB};
    return bases[pick(ARRAY_SIZE(bases))] + offsets[pick(ARRAY_SIZE(offsets))] +
           pick(4) * PAGE_SIZE;
}

static uint8_t pick_access(void)
{
    static const uint8_t accesses[] = {EPT_READ, EPT_RW, EPT_RX, EPT_RWX};
    return accesses[pick(ARRAY_SIZE(accesses))];
}

/* Expects `result` of what turned `model` into `next` with `left` frames free. */
static void assert_result(int result, int wanted, uint64_t left)
{
    if (wanted == 0 && model_tables(&next) - model_tables(&model) > left)
        wanted = -ENOMEM;
    assert_int_equal(result, wanted);
    if (wanted == 0)
        model = next;
    else
        assert_int_equal(pool.reserved, left);
}

static void random_map(struct ept *ept, uint64_t left)
{
    unsigned order = (unsigned)pick(3) * 9;
    uint64_t size = PAGE_SIZE << order;
    struct leaf leaf = {
        .guest = ALIGN_DOWN(pick_guest(), size),
        .host = ALIGN_DOWN(pick(1ull << 20) << 32 | pick(1ull << 31), size),
        .order = order,
        .access = pick_access(),
        .type = pick(4) == 0 ? EPT_UC : EPT_WB,
    };
    int wanted = model_map(&next, leaf);
    int result = ept_map(ept, GPA(leaf.guest), HPA(leaf.host), order, leaf.access,
                         (enum ept_memory_type)leaf.type);
    assert_result(result, wanted, left);
}

static void random_unmap(struct ept *ept)
{
    uint64_t guest = pick_guest();
    if (model.count > 0 && pick(2) == 0)
        guest = model.leaves[pick(model.count)].guest;
    guest += pick(PAGE_SIZE);

    struct ept_leaf leaf;
    const struct leaf *wanted = model_find(&model, guest);
    assert_int_equal(ept_unmap(ept, GPA(guest), &leaf), wanted == NULL ? -ENOENT : 0);
    if (wanted == NULL)
        return;
    assert_int_equal(leaf.address.value, wanted->host + (guest - wanted->guest));
    assert_int_equal(leaf.order, wanted->order);
    model_replace(&model, (size_t)(wanted - model.leaves), 1, 0);
}

/* From somewhere in a leaf to somewhere in it, its neighbour, or beyond. */
static void random_protect(struct ept *ept, uint64_t left)
{
    if (model.count == 0)
        return;
    size_t i = pick(model.count);
    const struct leaf *first = &model.leaves[i];
    const struct leaf *last = &model.leaves[MIN(i + pick(3), model.count - 1)];
    uint64_t start = first->guest, end = last->guest + size_of(last);
    static const uint64_t cuts[] = {0, 0, PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_2M + PAGE_SIZE};
    start += cuts[pick(ARRAY_SIZE(cuts))] % size_of(first);
    end -= cuts[pick(ARRAY_SIZE(cuts))] % size_of(last);
    if (pick(8) == 0)
        end = start + PAGE_SIZE;
    if (start >= end || end > GUEST_LIMIT)
        return;
    uint8_t access = pick_access();
    int wanted = model_protect(&next, start, end, access);
    int result = ept_protect(ept, GPA(start), end - start, access);
    assert_result(result, wanted, left);
}

static void random_steps_agree_with_the_model(void **state)
{
    (void)state;
    enum { STEPS = 4000 };
    struct ept ept;
    uint64_t frames_at_start = pool.reserved;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    model.count = 0;
    srandom(1);
    for (int step = 0; step < STEPS; step++) {
        if (pick(4) == 0)
            keep_frames(pick(5));
        uint64_t left = pool.reserved;
        next = model;
        switch (pick(3)) {
        case 0:
            random_map(&ept, left);
            break;
        case 1:
            random_unmap(&ept);
            break;
        case 2:
            random_protect(&ept, left);
            break;
        }
        assert_is_model(&ept, frames_at_start);
        for (int i = 0; i < 8; i++) {
            assert_walks_as_model(&ept, pick_guest() + pick(PAGE_SIZE));
            if (model.count == 0)
                continue;
            const struct leaf *leaf = &model.leaves[pick(model.count)];
            assert_walks_as_model(&ept, leaf->guest + size_of(leaf) - pick(2));
            assert_walks_as_model(&ept, leaf->guest - (leaf->guest > 0 ? pick(2) : 0));
        }
        if (model.count > LEAVES_MAX - 4096) {
            ept_destroy(&ept);
            assert_int_equal(pool.reserved, frames_at_start);
            assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
            model.count = 0;
        }
    }

    /* most by unmapping, the rest by destroying */
    while (model.count > 100)
        random_unmap(&ept);
    assert_is_model(&ept, frames_at_start);
    size_t seen = 0;
    ept_take_apart(&ept, assert_next_leaf, &seen);
    assert_int_equal(seen, model.count);
    assert_int_equal(pool.reserved, frames_at_start);
}

/* One call with every number of free frames from none to enough. */
static void out_of_frames_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        unsigned order; /* of the leaf at 1 GiB, or of the mapping asked for */
        uint64_t start, size;
        uint64_t frames;
    } protects[] = {
        {FRAME_ORDER_2M, PAGE_SIZE, PAGE_SIZE, 1},
        {FRAME_ORDER_2M, 0, PAGE_SIZE_2M, 0},
        {FRAME_ORDER_1G, 0, GIB, 0},
        {FRAME_ORDER_1G, 0, PAGE_SIZE_2M, 1},
        {FRAME_ORDER_1G, PAGE_SIZE_2M, GIB - PAGE_SIZE_2M, 1},
        {FRAME_ORDER_1G, 0, PAGE_SIZE, 2},
        {FRAME_ORDER_1G, PAGE_SIZE, PAGE_SIZE, 2},
        {FRAME_ORDER_1G, PAGE_SIZE, PAGE_SIZE_2M, 3},
        {FRAME_ORDER_1G, GIB - PAGE_SIZE, 2 * PAGE_SIZE, 4}, /* into the leaf that follows */
    };
    struct ept ept;
    for (size_t i = 0; i < ARRAY_SIZE(protects); i++) {
        uint64_t size = PAGE_SIZE << protects[i].order;
        assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
        model.count = 0;
        for (unsigned leaf = 0; leaf < 2; leaf++) {
            struct leaf entry = {GIB + leaf * size, leaf * size, protects[i].order, EPT_RW, EPT_WB};
            assert_int_equal(model_map(&model, entry), 0);
            assert_int_equal(
                ept_map(&ept, GPA(entry.guest), HPA(entry.host), entry.order, EPT_RW, EPT_WB), 0);
        }
        for (uint64_t left = 0; left <= protects[i].frames; left++) {
            keep_frames(left);
            next = model;
            uint64_t start = GIB + protects[i].start;
            assert_int_equal(model_protect(&next, start, start + protects[i].size, EPT_RX), 0);
            int result = ept_protect(&ept, GPA(start), protects[i].size, EPT_RX);
            assert_int_equal(result, left < protects[i].frames ? -ENOMEM : 0);
            assert_result(result, 0, left);
            assert_is_model(&ept, frames_total_count());
        }
        ept_destroy(&ept);
    }

    for (uint64_t frames = 1; frames <= 3; frames++) {
        assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
        unsigned order = (unsigned)(3 - frames) * 9;
        for (uint64_t left = 0; left <= frames; left++) {
            release_frames();
            keep_frames(left);
            assert_int_equal(ept_map(&ept, GPA(GIB), HPA(0), order, EPT_RW, EPT_WB),
                             left < frames ? -ENOMEM : 0);
            assert_int_equal(pool.reserved, left < frames ? left : 0);
            assert_int_equal(ept.table_count, left < frames ? 1 : 1 + frames);
        }
        release_frames();
        ept_destroy(&ept);
    }
}

/* As ept_walk finds it, for each access, in leaves of all sizes. */
static void reach_agrees_with_walk(void **state)
{
    static const unsigned orders[] = {FRAME_ORDER_4K, FRAME_ORDER_2M, FRAME_ORDER_1G};
    static const uint8_t accesses[] = {EPT_READ, EPT_RW, EPT_RX, EPT_RWX, EPT_EXECUTE};
    struct ept ept;
    (void)state;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        for (size_t j = 0; j < ARRAY_SIZE(accesses); j++) {
            uint64_t guest = (1 + i * 16 + 2 * j) * GIB, host = (1 + j) * GIB, byte = 0xabc;
            assert_int_equal(ept_map(&ept, GPA(guest), HPA(host), orders[i], accesses[j], EPT_WB),
                             0);
            for (unsigned access = 1; access <= EPT_RWX; access++) {
                void *there = (accesses[j] & access) == access ? phys_to_virt(HPA(host + byte))
                                                               : NULL;
                assert_ptr_equal(ept_reach(&ept, GPA(guest + byte), (uint8_t)access), there);
            }
            uint64_t last = (PAGE_SIZE << orders[i]) - 1;
            assert_ptr_equal(ept_reach(&ept, GPA(guest + last), accesses[j]),
                             phys_to_virt(HPA(host + last)));
            assert_null(ept_reach(&ept, GPA(guest - 1), EPT_READ));
            assert_null(ept_reach(&ept, GPA(guest + last + 1), EPT_READ));
        }
    assert_null(ept_reach(&ept, GPA(GUEST_LIMIT), EPT_READ));
    assert_null(ept_reach(&ept, GPA(UINT64_MAX), EPT_READ));
    ept_destroy(&ept);
}

/* What was found is kept, for pages that share a place too, and not beyond its end. */
static void reach_forgets_what_changes(void **state)
{
    struct ept ept;
    struct ept_leaf leaf;
    const uint64_t same_place = EPT_RECENT * PAGE_SIZE, far = 1ull << 47; /* too far to be kept */
    (void)state;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_4K, &pool), 0);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(ept_map(&ept, GPA(i * same_place), HPA(i * MIB), 0, EPT_RWX, EPT_WB), 0);
    assert_int_equal(ept_map(&ept, GPA(far), HPA(5 * MIB), 0, EPT_RW, EPT_WB), 0);
    for (unsigned turn = 0; turn < 3; turn++)
        for (uint64_t i = 1; i <= 3; i++)
            assert_ptr_equal(ept_reach(&ept, GPA(i * same_place + turn), EPT_RW),
                             phys_to_virt(HPA(i * MIB + turn)));
    for (unsigned turn = 0; turn < 2; turn++)
        assert_ptr_equal(ept_reach(&ept, GPA(far + 1), EPT_READ), phys_to_virt(HPA(5 * MIB + 1)));
    assert_null(ept_reach(&ept, GPA(0), EPT_READ));
    assert_null(ept_reach(&ept, GPA(far - same_place), EPT_READ));
    assert_int_equal(ept_protect(&ept, GPA(3 * same_place), PAGE_SIZE, EPT_READ), 0);
    assert_null(ept_reach(&ept, GPA(3 * same_place), EPT_WRITE));
    assert_non_null(ept_reach(&ept, GPA(3 * same_place), EPT_READ));
    assert_int_equal(ept_unmap(&ept, GPA(3 * same_place), &leaf), 0);
    assert_null(ept_reach(&ept, GPA(3 * same_place), EPT_READ));
    ept_destroy(&ept);
}

static void populate_refuses_what_is_no_mapping(void **state)
{
    (void)state;
    static const uint8_t accesses[] = {0, EPT_WRITE, EPT_WRITE | EPT_EXECUTE, 8, 0xff};
    struct ept ept;
    hpa_t host;
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    for (size_t i = 0; i < ARRAY_SIZE(accesses); i++)
        assert_int_equal(ept_populate(&ept, GPA(0), accesses[i], &host), -EINVAL);
    assert_int_equal(ept_populate(&ept, GPA(GUEST_LIMIT), EPT_RWX, &host), -EINVAL);
    assert_int_equal(ept_populate(&ept, GPA(UINT64_MAX), EPT_RWX, &host), -EINVAL);
    assert_int_equal(pool.taken, 1);
    ept_destroy(&ept);
}

/* Returns how many pages it took, 0 or 1, with `left` frames in the pool. */
static uint64_t random_populate(struct ept *ept, uint64_t left)
{
    hpa_t host;
    uint64_t guest = pick_guest() + pick(PAGE_SIZE);
    uint8_t access = pick_access();
    const struct leaf *old = model_find(&model, guest);
    if (old != NULL) {
        assert_int_equal(ept_populate(ept, GPA(guest), access, &host), 0);
        assert_int_equal(host.value, old->host + (guest - old->guest));
        assert_walks_as_model(ept, guest);
        assert_int_equal(pool.reserved, left);
        return 0;
    }

    struct leaf fresh = {.guest = ALIGN_DOWN(guest, PAGE_SIZE), .access = access, .type = EPT_WB};
    next = model;
    assert_int_equal(model_map(&next, fresh), 0);
    bool enough = 1 + model_tables(&next) - model_tables(&model) <= left;
    assert_int_equal(ept_populate(ept, GPA(guest), access, &host), enough ? 1 : -ENOMEM);
    if (!enough) {
        assert_int_equal(pool.reserved, left);
        return 0;
    }
    assert_int_equal(host.value % PAGE_SIZE, guest % PAGE_SIZE);
    host.value = ALIGN_DOWN(host.value, PAGE_SIZE);
    model_find(&next, guest)->host = host.value;
    model = next;
    assert_walks_as_model(ept, guest);
    uint8_t *page = phys_to_virt(host);
    assert_int_equal(page[0], 0);
    assert_memory_equal(page, page + 1, PAGE_SIZE - 1);
    memset(page, 0xa5, PAGE_SIZE);
    return 1;
}

static void populate_takes_a_page_where_nothing_is_mapped(void **state)
{
    (void)state;
    struct ept ept;
    static const struct leaf there[] = {
        {511 * GIB, 0x7000, FRAME_ORDER_4K, EPT_READ, EPT_UC},
        {GIB, GIB, FRAME_ORDER_1G, EPT_RX, EPT_WB},
        {512 * GIB + PAGE_SIZE_2M, 2 * GIB, FRAME_ORDER_2M, EPT_RW, EPT_WB},
    };
    srandom(2);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
        model.count = 0;
        for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
            assert_int_equal(model_map(&model, there[i]), 0);
            assert_int_equal(ept_map(&ept, GPA(there[i].guest), HPA(there[i].host), there[i].order,
                                     there[i].access, (enum ept_memory_type)there[i].type), 0);
        }
        uint64_t pages = 0;
        for (int step = 0; step < 100; step++) {
            if (pick(2) == 0)
                keep_frames(pick(5));
            pages += random_populate(&ept, pool.reserved);
            release_frames();
            assert_int_equal(ept.table_count, model_tables(&model));
            assert_int_equal(pool.taken, ept.table_count + pages);
            assert_walks_as_model(&ept, pick_guest() + pick(PAGE_SIZE));
        }
        assert_true(pages > 10);
        for (size_t i = 0; i < model.count; i++)
            if (model.leaves[i].host >= ARENA_START && model.leaves[i].host < ARENA_END)
                frame_pool_free_page(&pool, phys_to_virt(HPA(model.leaves[i].host)));
        ept_destroy(&ept);
        assert_int_equal(pool.taken, 0);
    }
}

/* ---- The walk for people --------------------------------------------------------------------- */

static void a_walk_names_every_level(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_step steps[EPT_STEPS_MAX];
    const uint64_t guest = 3 * GIB / 2 + 5 * PAGE_SIZE; /* PDPTE 1, PDE 256, PTE 5 */
    static const char *const names[] = {"PML4E", "PDPTE", "PDE", "PTE"};
    static const uint32_t indices[] = {0, 1, 256, 5};
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    assert_int_equal(ept_map(&ept, GPA(guest), HPA(0x7000), FRAME_ORDER_4K, EPT_RX, EPT_WB), 0);

    assert_int_equal(ept_walk_steps(&ept, GPA(guest + 0x123), steps), 4);
    hpa_t table = ept.root;
    for (unsigned i = 0; i < 4; i++) {
        const uint64_t *entries = phys_to_virt(table);
        assert_int_equal(steps[i].table.value, table.value);
        assert_string_equal(steps[i].name, names[i]);
        assert_int_equal(steps[i].index, indices[i]);
        assert_int_equal(steps[i].entry, entries[indices[i]]);
        assert_int_equal(steps[i].size, (512 * GIB) >> (9 * i));
        assert_int_equal(steps[i].kind, i < 3 ? EPT_STEP_TABLE : EPT_STEP_LEAF);
        assert_int_equal(steps[i].access, i < 3 ? EPT_RWX : EPT_RX);
        table = steps[i].address;
    }
    assert_int_equal(steps[3].address.value, 0x7123);
    assert_int_equal(steps[3].memory_type, EPT_WB);

    /* another page of the same table, another gigabyte, another 512 gigabytes */
    assert_int_equal(ept_walk_steps(&ept, GPA(guest + PAGE_SIZE), steps), 4);
    assert_int_equal(steps[3].kind, EPT_STEP_ABSENT);
    assert_int_equal(ept_walk_steps(&ept, GPA(guest + GIB), steps), 2);
    assert_int_equal(steps[1].kind, EPT_STEP_ABSENT);
    assert_int_equal(ept_walk_steps(&ept, GPA(GUEST_LIMIT - 1), steps), 1);
    assert_int_equal(steps[0].index, 511);
    assert_int_equal(steps[0].kind, EPT_STEP_ABSENT);
    assert_int_equal(ept_walk_steps(&ept, GPA(GUEST_LIMIT), steps), 0);
    assert_int_equal(ept_walk_steps(&ept, GPA(UINT64_MAX), steps), 0);
    ept_destroy(&ept);
}

static void a_walk_ends_at_a_large_page(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_step steps[EPT_STEPS_MAX];
    assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
    assert_int_equal(ept_map(&ept, GPA(GIB), HPA(3 * GIB), FRAME_ORDER_1G, EPT_RW, EPT_UC), 0);
    assert_int_equal(ept_map(&ept, GPA(0), HPA(GIB), FRAME_ORDER_2M, EPT_RWX, EPT_WB), 0);

    assert_int_equal(ept_walk_steps(&ept, GPA(GIB + 0x12345678), steps), 2);
    assert_int_equal(steps[1].kind, EPT_STEP_LEAF);
    assert_int_equal(steps[1].size, GIB);
    assert_int_equal(steps[1].address.value, 3 * GIB + 0x12345678);
    assert_int_equal(steps[1].memory_type, EPT_UC);
    assert_int_equal(ept_walk_steps(&ept, GPA(0x54321), steps), 3);
    assert_int_equal(steps[2].kind, EPT_STEP_LEAF);
    assert_int_equal(steps[2].size, 2 * MIB);
    assert_int_equal(steps[2].address.value, GIB + 0x54321);
    ept_destroy(&ept);
}

/* Entries that the mapper never writes: SDM 28.2.3.1. */
static void a_walk_tells_misconfigurations(void **state)
{
    (void)state;
    static const struct {
        uint64_t entry;
        unsigned depth; /* 0: a PML4E */
        enum ept_step_kind kind;
    } cases[] = {
        {0x7032, 3, EPT_STEP_MISCONFIGURED}, /* write without read */
        {0x7036, 3, EPT_STEP_MISCONFIGURED},
        {0x7034, 3, EPT_STEP_LEAF},          /* execute alone: by capability */
        {0x7037, 3, EPT_STEP_LEAF},
        {0x7007, 3, EPT_STEP_LEAF},          /* UC */
        {0x7017, 3, EPT_STEP_MISCONFIGURED}, /* memory types 2, 3, 7 */
        {0x701f, 3, EPT_STEP_MISCONFIGURED},
        {0x703f, 3, EPT_STEP_MISCONFIGURED},
        {0x702f, 3, EPT_STEP_LEAF},          /* WP */
        {0x7038, 3, EPT_STEP_ABSENT},
        {0x2000b7, 2, EPT_STEP_LEAF},
        {0x200097, 2, EPT_STEP_MISCONFIGURED},
        {0x20000f, 2, EPT_STEP_MISCONFIGURED}, /* a reserved bit of a reference */
        {0x200047, 1, EPT_STEP_MISCONFIGURED},
        {0x200002, 1, EPT_STEP_MISCONFIGURED},
        {0x200087, 0, EPT_STEP_MISCONFIGURED}, /* a PML4E maps no page */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ept ept;
        struct ept_step steps[EPT_STEPS_MAX];
        assert_int_equal(ept_create(&ept, FRAME_ORDER_1G, &pool), 0);
        assert_int_equal(ept_map(&ept, GPA(0), HPA(0), FRAME_ORDER_4K, EPT_RWX, EPT_WB), 0);
        assert_int_equal(ept_walk_steps(&ept, GPA(0), steps), 4);
        uint64_t *entry = phys_to_virt(steps[cases[i].depth].table);
        uint64_t before = *entry;
        *entry = cases[i].entry;
        assert_int_equal(ept_walk_steps(&ept, GPA(0), steps), cases[i].depth + 1);
        assert_int_equal(steps[cases[i].depth].kind, cases[i].kind);
        *entry = before;
        ept_destroy(&ept);
    }
}

#define ept_test(name) cmocka_unit_test_setup_teardown(name, set_up_frames, tear_down_frames)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ept_test(entries_are_those_of_the_sdm),
        ept_test(create_takes_one_frame),
        ept_test(map_refuses_what_is_no_mapping),
        ept_test(no_leaf_is_larger_than_the_capability),
        ept_test(what_is_mapped_stays),
        ept_test(protect_refuses_bad_ranges),
        ept_test(random_steps_agree_with_the_model),
        ept_test(out_of_frames_changes_nothing),
        ept_test(reach_agrees_with_walk),
        ept_test(reach_forgets_what_changes),
        ept_test(populate_refuses_what_is_no_mapping),
        ept_test(populate_takes_a_page_where_nothing_is_mapped),
        ept_test(a_walk_names_every_level),
        ept_test(a_walk_ends_at_a_large_page),
        ept_test(a_walk_tells_misconfigurations),
    };
    return cmocka_run_group_tests(tests, set_up_arena, NULL);
}
