/* SPDX-License-Identifier: MIT */
/* Guest memory: the range check and the table count against plain definitions, pages on first touch
 * under a reservation that fits exactly, rights, large leaves, copies, frames that come back. The
 * sources are included, so that their direct map starts at an arena: physical address 0 is the
 * arena's first byte, and a guest can be larger than what lies below its hole. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

static uint8_t *arena;

#undef DIRECT_MAP_BASE
#define DIRECT_MAP_BASE ((uint64_t)(uintptr_t)arena)
#include "kernel/mm/frames.c"
#include "kernel/mm/frame_pool.c"
#include "vmx/ept.c"
#include "kernel/vm/guest_memory.c"

#define ARENA_SIZE (5 * GIB)
#define EXTRA      7
#define MANY       (16 * MIB)

_Noreturn void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
}

static int set_up_arena(void **state)
{
    (void)state;
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return arena == MAP_FAILED ? -1 : 0;
}

static int set_up_frames(void **state)
{
    static uint8_t metadata[ARENA_SIZE / PAGE_SIZE];
    (void)state;
    frames_init(metadata, HPA(ARENA_SIZE));
    frames_add(HPA(0), HPA(ARENA_SIZE));
    return 0;
}

/* Every test gives all frames back, and its guests leave nothing in the machine's memory. */
static int tear_down_frames(void **state)
{
    (void)state;
    int lost = frames_available_count() != frames_total_count();
    return madvise(arena, ARENA_SIZE, MADV_DONTNEED) || lost ? -1 : 0;
}

static void create(struct guest_memory *m, uint64_t size, unsigned max_order)
{
    assert_int_equal(guest_memory_create(m, size, GUEST_WITH_HOLE, max_order, EXTRA), 0);
}

static bool is_present_at(const struct guest_memory *m, uint64_t guest)
{
    struct ept_leaf leaf;
    return ept_walk(&m->ept, GPA(guest), &leaf) == 0;
}

static void assert_leaf(const struct guest_memory *m, uint64_t guest, unsigned order,
                        uint8_t access)
{
    struct ept_leaf leaf;
    assert_int_equal(ept_walk(&m->ept, GPA(guest), &leaf), 0);
    assert_int_equal(leaf.order, order);
    assert_int_equal(leaf.access, access);
    assert_int_equal(leaf.memory_type, EPT_WB);
}

/* Every byte of the range is RAM, looked at one at a time at the edges. */
static bool is_ram(uint64_t size, uint64_t at)
{
    uint64_t low = size < GUEST_HOLE_START ? size : GUEST_HOLE_START;
    return at < low || (at >= GUEST_HOLE_END && at - GUEST_HOLE_END < size - low);
}

static void ranges_are_ram_or_not(void **state)
{
    static const uint64_t sizes[] = {MIB, GUEST_HOLE_START, GUEST_HOLE_START + MIB};
    static const uint64_t edges[] = {0, MIB, GUEST_HOLE_START, GUEST_HOLE_END, GUEST_HOLE_END + MIB,
                                     UINT64_MAX - 8};
    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        struct guest_memory m = {.size = sizes[s], .low = MIN(sizes[s], GUEST_HOLE_START)};
        for (size_t e = 0; e < ARRAY_SIZE(edges); e++)
            for (int64_t delta = -8; delta <= 8; delta++)
                for (uint64_t length = 1; length < 16; length++) {
                    uint64_t at = edges[e] + (uint64_t)delta;
                    bool expected = at + length > at;
                    for (uint64_t i = 0; i < length; i++)
                        expected = expected && is_ram(sizes[s], at + i);
                    assert_int_equal(guest_range_ok(&m, GPA(at), length), expected);
                }
        assert_false(guest_range_ok(&m, GPA(0), UINT64_MAX));
        assert_false(guest_range_ok(&m, GPA(1), UINT64_MAX));
        assert_true(guest_range_ok(&m, GPA(0), 0));
    }
}

/* The tables above all pages of RAM: a page needs those that the page before it did not need. */
static uint64_t plain_table_count(uint64_t size)
{
    uint64_t last[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX}, count = 1;
    for (uint64_t at = 0; at < GUEST_HOLE_END + size; at += 2 * MIB) {
        for (unsigned level = 0; is_ram(size, at) && level < 3; level++) {
            uint64_t table = at >> (21 + 9 * level);
            count += table != last[level];
            last[level] = table;
        }
    }
    return count;
}

static const uint64_t border_sizes[] = {
    PAGE_SIZE, 2 * MIB - PAGE_SIZE, 2 * MIB, 2 * MIB + PAGE_SIZE, 6 * MIB, GIB - PAGE_SIZE, GIB,
    GIB + PAGE_SIZE, 2 * GIB, 3 * GIB - PAGE_SIZE, 3 * GIB, 3 * GIB + PAGE_SIZE, 3 * GIB + 2 * MIB,
    4 * GIB - PAGE_SIZE, 4 * GIB, 4 * GIB + PAGE_SIZE,
};

static void tables_are_counted_exactly(void **state)
{
    static const uint64_t large[] = {511 * GIB - PAGE_SIZE, 511 * GIB, 511 * GIB + PAGE_SIZE,
                                     512 * GIB, 1023 * GIB, 1023 * GIB + PAGE_SIZE};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(border_sizes); i++) {
        uint64_t size = border_sizes[i];
        struct guest_memory m = {.size = size, .low = MIN(size, GUEST_HOLE_START)};
        assert_int_equal(table_count(&m), plain_table_count(m.size));
    }
    for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
        struct guest_memory m = {.size = large[i], .low = MIN(large[i], GUEST_HOLE_START)};
        assert_int_equal(table_count(&m), plain_table_count(m.size));
    }
}

/* With every page table made, or every page touched where they are few, nothing is left over but
 * what the caller asked for, and that is there. */
static void touching_everything_takes_what_was_reserved(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(border_sizes); i++) {
        uint64_t size = border_sizes[i], step = size <= 8 * MIB ? PAGE_SIZE : 2 * MIB;
        struct guest_memory m;
        create(&m, size, FRAME_ORDER_1G);
        assert_int_equal(frames_available_count(), frames_total_count() - m.pool.reserved - 1);
        uint64_t pages = 0;
        for (uint64_t at = 0; at < GUEST_HOLE_END + size; at += step)
            if (is_ram(size, at)) {
                assert_int_equal(
                    guest_memory_fault(&m, GPA(at + at / PAGE_SIZE % 4096), EPT_READ), 0);
                pages++;
            }
        assert_int_equal(m.present, pages);
        assert_int_equal(m.pool.reserved, size / PAGE_SIZE - pages + EXTRA);
        assert_int_equal(m.ept.table_count, plain_table_count(size));
        assert_int_equal(guest_memory_overhead(&m), m.ept.table_count);

        void *extra[EXTRA];
        for (size_t e = 0; e < EXTRA; e++)
            assert_non_null(extra[e] = frame_pool_page(&m.pool));
        assert_int_equal(guest_memory_overhead(&m), m.ept.table_count + EXTRA);
        assert_int_equal(m.pool.reserved, size / PAGE_SIZE - pages);
        for (size_t e = 0; e < EXTRA; e++)
            frame_pool_free_page(&m.pool, extra[e]);
        guest_memory_destroy(&m);
        assert_int_equal(m.size, 0);
        assert_int_equal(frames_available_count(), frames_total_count());
    }
}

static void out_of_memory_keeps_nothing(void **state)
{
    struct guest_memory m;
    const uint64_t size = 6 * MIB, needed = size / PAGE_SIZE + plain_table_count(size) + EXTRA;
    const uint64_t all = frames_total_count();
    (void)state;
    for (uint64_t left = 0; left < needed; left += left + 20 < needed ? 20 : 1) {
        assert_int_equal(frames_reserve(all - left), 0);
        memset(&m, 0xff, sizeof m);
        assert_int_equal(guest_memory_create(&m, size, GUEST_WITH_HOLE, FRAME_ORDER_4K, EXTRA),
                         -ENOMEM);
        assert_int_equal(frames_available_count(), left);
        guest_memory_destroy(&m); /* has no effect */
        frames_unreserve(all - left);
    }
    assert_int_equal(frames_reserve(all - needed), 0);
    create(&m, size, FRAME_ORDER_4K);
    assert_int_equal(frames_available_count(), 0);
    guest_memory_destroy(&m);
    assert_int_equal(frames_available_count(), needed);
    frames_unreserve(all - needed);

    static const uint64_t huge[] = {ARENA_SIZE, BIT(47), BIT(48), BIT(48) + GIB, BIT(63),
                                    UINT64_MAX & ~PAGE_MASK};
    for (size_t i = 0; i < ARRAY_SIZE(huge); i++)
        assert_int_equal(guest_memory_create(&m, huge[i], GUEST_WITH_HOLE, FRAME_ORDER_1G, 0),
                         -ENOMEM);
    assert_int_equal(guest_memory_create(&m, PAGE_SIZE, GUEST_WITH_HOLE, 1, 0), -EINVAL);
    assert_int_equal(frames_available_count(), all);

    struct guest_memory zero = {0};
    guest_memory_destroy(&zero);
}

/* Without a hole: beyond 3 GiB it goes on, and behind its end is nothing. */
static void flat_memory_has_no_hole(void **state)
{
    struct guest_memory m;
    const uint64_t size = 4 * GIB;
    const uint64_t there[] = {0, GUEST_HOLE_START - 1, GUEST_HOLE_START, size - 1};
    (void)state;
    assert_int_equal(guest_memory_create(&m, size, GUEST_FLAT, FRAME_ORDER_4K, EXTRA), 0);
    for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
        assert_int_equal(guest_memory_fault(&m, GPA(there[i]), EPT_WRITE), 0);
        assert_true(is_present_at(&m, there[i]));
    }
    assert_true(guest_range_ok(&m, GPA(GUEST_HOLE_START - 8), 16));
    assert_false(guest_range_ok(&m, GPA(size - 8), 9));
    assert_false(guest_range_ok(&m, GPA(size), 1));
    assert_int_equal(guest_memory_fault(&m, GPA(size), EPT_READ), -EFAULT);
    guest_memory_destroy(&m);
}

/* RAM in no region has the access that was given; execute alone is a region's to have. */
static void rights_outside_regions(void **state)
{
    struct guest_memory m;
    const struct guest_region text = {MIB, MIB + PAGE_SIZE, EPT_EXECUTE};
    (void)state;
    create(&m, 2 * MIB, FRAME_ORDER_4K);
    assert_int_equal(guest_memory_set_regions(&m, &text, 1, EPT_RW), 0);
    assert_int_equal(guest_memory_fault(&m, GPA(0), EPT_EXECUTE), -EACCES);
    assert_int_equal(guest_memory_fault(&m, GPA(MIB + PAGE_SIZE), EPT_EXECUTE), -EACCES);
    assert_int_equal(guest_memory_fault(&m, GPA(0), EPT_WRITE), 0);
    assert_leaf(&m, 0, FRAME_ORDER_4K, EPT_RW);
    assert_int_equal(guest_memory_fault(&m, GPA(MIB), EPT_READ), -EACCES);
    assert_int_equal(guest_memory_fault(&m, GPA(MIB), EPT_EXECUTE), 0);
    assert_leaf(&m, MIB, FRAME_ORDER_4K, EPT_EXECUTE);
    guest_memory_destroy(&m);
}

static void bad_regions_are_refused(void **state)
{
    struct guest_memory m;
    static const struct guest_region bad[] = {
        {1, PAGE_SIZE, EPT_READ},
        {0, PAGE_SIZE + 1, EPT_READ},
        {PAGE_SIZE, PAGE_SIZE, EPT_READ},
        {2 * PAGE_SIZE, PAGE_SIZE, EPT_READ},
        {0, PAGE_SIZE, 0},
        {0, PAGE_SIZE, EPT_WRITE},
        {0, PAGE_SIZE, EPT_RWX | 8},
    };
    struct guest_region regions[GUEST_REGIONS_MAX + 1];
    (void)state;
    create(&m, MIB, FRAME_ORDER_4K);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(guest_memory_set_regions(&m, &bad[i], 1, EPT_RWX), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
        regions[i] = (struct guest_region){i * PAGE_SIZE, (i + 1) * PAGE_SIZE, EPT_READ};
    assert_int_equal(guest_memory_set_regions(&m, regions, ARRAY_SIZE(regions), EPT_RWX), -EINVAL);
    regions[0].start = 2 * PAGE_SIZE;
    regions[0].end = 3 * PAGE_SIZE;
    /* not ascending */
    assert_int_equal(guest_memory_set_regions(&m, regions, 2, EPT_RWX), -EINVAL);
    assert_int_equal(m.region_count, 0);
    assert_int_equal(guest_memory_set_regions(&m, regions, 0, EPT_RWX), 0);
    assert_int_equal(guest_memory_set_regions(&m, regions + 1, GUEST_REGIONS_MAX, EPT_RWX), 0);
    assert_int_equal(guest_memory_fault(&m, GPA(0), EPT_READ), 0);
    assert_int_equal(guest_memory_set_regions(&m, regions + 1, 1, EPT_RWX), -EBUSY);
    guest_memory_destroy(&m);
}

static const uint8_t accesses[] = {EPT_READ, EPT_RW, EPT_RX, EPT_RWX};

/* Random regions, which may share pages; the model has the rights of each page. */
static void pages_have_the_rights_of_their_regions(void **state)
{
    enum { PAGES = 64 };
    (void)state;
    srandom(4);
    for (int round = 0; round < 200; round++) {
        struct guest_region regions[GUEST_REGIONS_MAX];
        uint8_t model[PAGES] = {0};
        uint64_t start = 0;
        uint32_t count = (uint32_t)random() % (GUEST_REGIONS_MAX + 1);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t gap = (uint64_t)random() % 8, length = 1 + (uint64_t)random() % 10;
            start = MIN(start + gap, PAGES - 1);
            uint64_t end = MIN(start + length, PAGES);
            uint8_t access = accesses[random() % 4];
            regions[i] = (struct guest_region){start * PAGE_SIZE, end * PAGE_SIZE, access};
            for (uint64_t page = start; page < end; page++)
                model[page] |= access;
        }
        struct guest_memory m;
        create(&m, PAGES * PAGE_SIZE, FRAME_ORDER_4K);
        assert_int_equal(guest_memory_set_regions(&m, regions, count, EPT_RWX), 0);
        for (uint64_t page = 0; page < PAGES; page++) {
            uint64_t at = page * PAGE_SIZE;
            uint8_t access = model[page] ? model[page] : EPT_RWX, byte = 1;
            assert_int_equal(guest_write(&m, GPA(at), &byte, 1), access & EPT_WRITE ? 0 : -EFAULT);
            assert_int_equal(is_present_at(&m, at), (access & EPT_WRITE) != 0);
            assert_int_equal(guest_memory_fault(&m, GPA(at + PAGE_MASK), EPT_READ), 0);
            assert_leaf(&m, at, FRAME_ORDER_4K, access);
        }
        guest_memory_destroy(&m);
    }
}

/* One fault at `guest`, whose page allows `allowed`; 0: it is not RAM. */
static void assert_fault(struct guest_memory *m, uint64_t guest, uint8_t access, uint8_t allowed)
{
    bool was_present = is_present_at(m, guest);
    uint64_t present = m->present;
    int expected = allowed == 0 ? -EFAULT : (access & ~allowed) ? -EACCES : 0;
    assert_int_equal(guest_memory_fault(m, GPA(guest), access), expected);
    assert_int_equal(is_present_at(m, guest), was_present || expected == 0);
    assert_int_equal(m->present, present + (expected == 0 && !was_present));
}

static void faults_are_told_apart(void **state)
{
    const uint64_t size = 3 * GIB + MIB, link = 0xfffbc000;
    static const uint64_t outside[] = {GUEST_HOLE_START, 0xfee00000, 0xfffbc000,
                                       GUEST_HOLE_END - 1, GUEST_HOLE_END + MIB, 512 * GIB,
                                       BIT(48), BIT(52), UINT64_MAX};
    struct guest_region regions[ARRAY_SIZE(accesses)];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accesses); i++)
        regions[i] = (struct guest_region){i * PAGE_SIZE, (i + 1) * PAGE_SIZE, accesses[i]};
    for (uint8_t access = 0; access <= EPT_RWX; access++) {
        for (int touched = 0; touched < 2; touched++) {
            struct guest_memory m;
            create(&m, size, FRAME_ORDER_1G);
            assert_int_equal(guest_memory_set_regions(&m, regions, ARRAY_SIZE(regions), EPT_RWX),
                             0);
            uint8_t *page = frame_pool_page(&m.pool);
            assert_int_equal(ept_map(&m.ept, GPA(link), virt_to_phys(page), 0, EPT_READ, EPT_WB),
                             0);
            const uint64_t inside[] = {0x123, 0x1fff, 0x2000, 0x3000, 0x4000, MIB,
                                       GUEST_HOLE_START - 1, GUEST_HOLE_END,
                                       GUEST_HOLE_END + MIB - 1};
            for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
                uint8_t allowed = i < ARRAY_SIZE(accesses) ? accesses[i] : EPT_RWX;
                if (touched)
                    assert_int_equal(guest_memory_fault(&m, GPA(inside[i]), EPT_READ), 0);
                assert_fault(&m, inside[i], access, allowed);
                assert_fault(&m, inside[i], access, allowed);
            }
            uint32_t tables = m.ept.table_count;
            for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
                assert_fault(&m, outside[i], access, 0);
                assert_int_equal(guest_memory_fault(&m, GPA(outside[i]), EPT_READ), -EFAULT);
            }
            assert_int_equal(m.ept.table_count, tables);
            assert_leaf(&m, link, FRAME_ORDER_4K, EPT_READ);
            /* the page of the hole is still the caller's: freeing it twice would panic */
            struct ept_leaf leaf;
            assert_int_equal(ept_unmap(&m.ept, GPA(link), &leaf), 0);
            frame_pool_free_page(&m.pool, page);
            guest_memory_destroy(&m);
        }
    }
}

static void what_is_mapped_in_the_hole_is_not_freed(void **state)
{
    static const uint64_t places[] = {GUEST_HOLE_START, 0xfffbc000, GUEST_HOLE_END - PAGE_SIZE};
    void *shared[ARRAY_SIZE(places)];
    struct guest_memory m;
    (void)state;
    create(&m, 3 * GIB + MIB, FRAME_ORDER_2M);
    assert_int_equal(guest_memory_fault(&m, GPA(GUEST_HOLE_START - 1), EPT_READ), 0);
    assert_int_equal(guest_memory_fault(&m, GPA(GUEST_HOLE_END), EPT_READ), 0);
    uint64_t before = frames_available_count();
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        assert_non_null(shared[i] = page_alloc());
        assert_int_equal(ept_map(&m.ept, GPA(places[i]), virt_to_phys(shared[i]), FRAME_ORDER_4K,
                                 EPT_RW, EPT_WB), 0);
    }
    assert_int_equal(m.present, 2);
    guest_memory_destroy(&m);
    assert_int_equal(frames_available_count(), frames_total_count() - ARRAY_SIZE(places));
    assert_true(before < frames_available_count());
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        page_free(shared[i]); /* traps if it is free already */
}

static void untouched_memory_reads_as_zeroes(void **state)
{
    struct guest_memory m;
    static uint8_t in[3 * PAGE_SIZE], zeroes[3 * PAGE_SIZE];
    const uint8_t byte = 0x5a;
    (void)state;
    create(&m, 3 * GIB + MIB, FRAME_ORDER_2M);
    static const uint64_t places[] = {0, 100, GUEST_HOLE_START - sizeof in, GUEST_HOLE_END};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        memset(in, 0xa5, sizeof in);
        assert_int_equal(guest_read(&m, GPA(places[i]), in, sizeof in), 0);
        assert_memory_equal(in, zeroes, sizeof in);
    }
    assert_int_equal(m.present, 0);
    assert_int_equal(m.ept.table_count, 1);

    /* one touched page between two that are not */
    assert_int_equal(guest_write(&m, GPA(0x1800), &byte, 1), 0);
    memset(in, 0xa5, sizeof in);
    assert_int_equal(guest_read(&m, GPA(0), in, sizeof in), 0);
    assert_int_equal(in[0x1800], byte);
    in[0x1800] = 0;
    assert_memory_equal(in, zeroes, sizeof in);
    assert_int_equal(m.present, 1);

    memset(in, 0xa5, sizeof in);
    assert_int_equal(guest_read(&m, GPA(GUEST_HOLE_START - 1), in, 2), -EFAULT);
    assert_int_equal(guest_read(&m, GPA(GUEST_HOLE_END + MIB), in, 1), -EFAULT);
    assert_int_equal(in[0], 0xa5); /* nothing is copied */
    guest_memory_destroy(&m);
}

static void fill_pattern(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
}

static void copies_cross_pages_and_leaves(void **state)
{
    static uint8_t out[3 * PAGE_SIZE], in[3 * PAGE_SIZE];
    static const uint64_t places[] = {0, 100, MIB - PAGE_SIZE - 3, 2 * MIB - PAGE_SIZE - 1,
                                      6 * MIB - sizeof out};
    (void)state;
    fill_pattern(out, sizeof out);
    for (int eager = 0; eager < 2; eager++) {
        struct guest_memory m;
        create(&m, 6 * MIB, FRAME_ORDER_2M);
        if (eager)
            guest_memory_map_all(&m);
        for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
            assert_int_equal(guest_write(&m, GPA(places[p]), out, sizeof out), 0);
            memset(in, 0, sizeof in);
            assert_int_equal(guest_read(&m, GPA(places[p]), in, sizeof in), 0);
            assert_memory_equal(in, out, sizeof out);
        }
        if (!eager) /* the 3 and the 4 at the start are 4 together; 4; 4; the last 3 */
            assert_int_equal(m.present, 4 + 4 + 4 + 3);
        assert_int_equal(guest_write(&m, GPA(5 * MIB), out, 0), 0);
        assert_int_equal(guest_write(&m, GPA(6 * MIB - 1), out, 2), -EFAULT);
        guest_memory_destroy(&m);
    }
}

static void only_the_loader_writes_what_is_read_only(void **state)
{
    struct guest_memory m;
    static uint8_t out[3 * PAGE_SIZE], in[3 * PAGE_SIZE];
    static const struct guest_region text = {2 * PAGE_SIZE, 3 * PAGE_SIZE, EPT_RX};
    (void)state;
    fill_pattern(out, sizeof out);
    create(&m, MIB, FRAME_ORDER_2M);
    assert_int_equal(guest_memory_set_regions(&m, &text, 1, EPT_RWX), 0);
    assert_int_equal(guest_write(&m, GPA(PAGE_SIZE), out, PAGE_SIZE + 1), -EFAULT);
    assert_int_equal(guest_write(&m, GPA(3 * PAGE_SIZE - 1), out, 2), -EFAULT);
    assert_int_equal(guest_write(&m, GPA(100), out, sizeof out), -EFAULT);
    assert_int_equal(m.present, 0); /* nothing came in for what was refused */
    assert_int_equal(guest_write(&m, GPA(PAGE_SIZE), out, PAGE_SIZE), 0);
    assert_int_equal(guest_write(&m, GPA(3 * PAGE_SIZE), out, PAGE_SIZE), 0);
    assert_int_equal(m.present, 2);

    assert_int_equal(guest_load_bytes(&m, GPA(PAGE_SIZE), out, sizeof out), 0);
    assert_int_equal(guest_read(&m, GPA(PAGE_SIZE), in, sizeof in), 0);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(m.present, 3);
    assert_leaf(&m, PAGE_SIZE, FRAME_ORDER_4K, EPT_RWX);
    assert_leaf(&m, 2 * PAGE_SIZE, FRAME_ORDER_4K, EPT_RX);
    assert_int_equal(guest_load_bytes(&m, GPA(MIB - 1), out, 2), -EFAULT);
    assert_int_equal(m.present, 3);
    guest_memory_destroy(&m);
}

static void pages_come_zeroed_and_go_back(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct guest_memory m;
        create(&m, 4 * MIB, FRAME_ORDER_2M);
        for (uint64_t at = 0; at < 4 * MIB; at += PAGE_SIZE) {
            assert_int_equal(guest_memory_fault(&m, GPA(at), EPT_WRITE), 0);
            struct ept_leaf leaf;
            assert_int_equal(ept_walk(&m.ept, GPA(at), &leaf), 0);
            uint8_t *page = phys_to_virt(leaf.address);
            assert_int_equal(page[0], 0);
            assert_memory_equal(page, page + 1, PAGE_SIZE - 1);
            memset(page, 0xff, PAGE_SIZE);
        }
        guest_memory_destroy(&m);
        assert_int_equal(frames_available_count(), frames_total_count());
    }
}

struct tiling {
    const struct guest_memory *m;
    uint64_t next;      /* where the next leaf must start */
    uint64_t leaves[3]; /* how many of 4 KiB, 2 MiB, 1 GiB */
};

static void count_leaf(gpa_t guest, const struct ept_leaf *leaf, void *context)
{
    struct tiling *t = context;
    if (t->next == guest_memory_low(t->m) && guest_memory_high(t->m))
        t->next = GUEST_HOLE_END;
    assert_int_equal(guest.value, t->next);
    t->next += PAGE_SIZE << leaf->order;
    t->leaves[leaf->order / 9]++;
}

/* All RAM is mapped, by so many leaves of each kind. */
static void assert_tiling(const struct guest_memory *m, uint64_t small, uint64_t medium,
                          uint64_t large)
{
    struct tiling t = {.m = m};
    ept_for_each(&m->ept, count_leaf, &t);
    uint64_t high = guest_memory_high(m);
    assert_int_equal(t.next, high ? GUEST_HOLE_END + high : guest_memory_low(m));
    assert_int_equal(t.leaves[0], small);
    assert_int_equal(t.leaves[1], medium);
    assert_int_equal(t.leaves[2], large);
    assert_int_equal(m->present, m->size / PAGE_SIZE);
    assert_int_equal(m->pool.taken, m->present + m->ept.table_count);
}

static void eager_memory_has_the_largest_leaves(void **state)
{
    struct guest_memory m;
    (void)state;
    create(&m, 4 * MIB + PAGE_SIZE, FRAME_ORDER_4K);
    guest_memory_map_all(&m);
    assert_tiling(&m, 1025, 0, 0);
    assert_int_equal(m.pool.reserved, EXTRA);
    guest_memory_destroy(&m);

    create(&m, 6 * MIB - PAGE_SIZE, FRAME_ORDER_2M);
    guest_memory_map_all(&m);
    guest_memory_map_all(&m); /* nothing is left to do */
    assert_tiling(&m, 511, 2, 0);
    guest_memory_destroy(&m);

    create(&m, GIB + 4 * MIB, FRAME_ORDER_1G);
    guest_memory_map_all(&m);
    assert_tiling(&m, 0, 2, 1);
    assert_leaf(&m, 0, FRAME_ORDER_1G, EPT_RWX);
    guest_memory_destroy(&m);
}

/* What is below the hole is mapped already, by leaves that are not the pool's. */
static void eager_memory_goes_on_above_the_hole(void **state)
{
    struct guest_memory m;
    struct ept_leaf leaf;
    (void)state;
    create(&m, 3 * GIB + 4 * MIB, FRAME_ORDER_1G);
    for (uint64_t at = 0; at < 3 * GIB; at += GIB)
        assert_int_equal(ept_map(&m.ept, GPA(at), HPA(at), FRAME_ORDER_1G, EPT_RWX, EPT_WB), 0);
    guest_memory_map_all(&m);
    assert_int_equal(m.present, 1024);
    assert_leaf(&m, GUEST_HOLE_END, FRAME_ORDER_2M, EPT_RWX);
    assert_leaf(&m, GUEST_HOLE_END + 2 * MIB, FRAME_ORDER_2M, EPT_RWX);
    assert_false(is_present_at(&m, GUEST_HOLE_START));
    assert_false(is_present_at(&m, GUEST_HOLE_END + 4 * MIB));
    for (uint64_t at = 0; at < 3 * GIB; at += GIB)
        assert_int_equal(ept_unmap(&m.ept, GPA(at), &leaf), 0);
    guest_memory_destroy(&m);
}

static void regions_and_touched_pages_cut_leaves(void **state)
{
    struct guest_memory m;
    static const struct guest_region regions[] = {
        {2 * MIB, 6 * MIB, EPT_RX},                   /* covers two leaves */
        {8 * MIB + PAGE_SIZE, 10 * MIB, EPT_READ},    /* begins inside one */
        {12 * MIB - PAGE_SIZE, 12 * MIB, EPT_READ},   /* ends with one */
        {12 * MIB, 12 * MIB + PAGE_SIZE, EPT_RW},     /* begins with one */
    };
    const uint64_t word = 0x1122334455667788;
    uint64_t read;
    (void)state;
    create(&m, MANY, FRAME_ORDER_1G);
    assert_int_equal(guest_memory_set_regions(&m, regions, ARRAY_SIZE(regions), EPT_RWX), 0);
    assert_int_equal(guest_write(&m, GPA(15 * MIB), &word, sizeof word), 0);
    guest_memory_map_all(&m);
    /* cut: the leaves at 8, 10, 12 MiB by regions, the one at 14 MiB by the touched page */
    assert_tiling(&m, 4 * 512, 4, 0);
    assert_leaf(&m, 0, FRAME_ORDER_2M, EPT_RWX);
    assert_leaf(&m, 2 * MIB, FRAME_ORDER_2M, EPT_RX);
    assert_leaf(&m, 4 * MIB, FRAME_ORDER_2M, EPT_RX);
    assert_leaf(&m, 6 * MIB, FRAME_ORDER_2M, EPT_RWX);
    assert_leaf(&m, 8 * MIB, FRAME_ORDER_4K, EPT_RWX);
    assert_leaf(&m, 8 * MIB + PAGE_SIZE, FRAME_ORDER_4K, EPT_READ);
    assert_leaf(&m, 12 * MIB - PAGE_SIZE, FRAME_ORDER_4K, EPT_READ);
    assert_leaf(&m, 12 * MIB, FRAME_ORDER_4K, EPT_RW);
    assert_leaf(&m, 12 * MIB + PAGE_SIZE, FRAME_ORDER_4K, EPT_RWX);
    assert_int_equal(guest_read(&m, GPA(15 * MIB), &read, sizeof read), 0);
    assert_int_equal(read, word);
    assert_fault(&m, 2 * MIB + 5, EPT_EXECUTE, EPT_RX);
    assert_fault(&m, 2 * MIB + 5, EPT_WRITE, EPT_RX);
    guest_memory_destroy(&m);
}

/* Where no larger block is free, single pages do. */
static void fragments_are_mapped_by_pages(void **state)
{
    enum { FRAMES = 8192 };
    static void *others[FRAMES];
    static uint8_t few[FRAMES + 1];
    struct guest_memory m;
    (void)state;
    frames_init(few, HPA((FRAMES + 1) * PAGE_SIZE));
    frames_add(HPA(0), HPA((FRAMES + 1) * PAGE_SIZE));
    for (size_t i = 0; i < FRAMES; i++)
        assert_non_null(others[i] = page_alloc());
    for (size_t i = 0; i < FRAMES; i++) { /* every second page of 16 MiB, and one block of 2 MiB */
        uint64_t at = virt_to_phys(others[i]).value;
        if ((at < 16 * MIB && at / PAGE_SIZE % 2) || (at >= 16 * MIB && at < 18 * MIB)) {
            page_free(others[i]);
            others[i] = NULL;
        }
    }
    create(&m, 6 * MIB, FRAME_ORDER_1G);
    guest_memory_map_all(&m);
    assert_tiling(&m, 2 * 512, 1, 0);
    assert_leaf(&m, 0, FRAME_ORDER_2M, EPT_RWX);
    guest_memory_destroy(&m);
    for (size_t i = 0; i < FRAMES; i++)
        if (others[i])
            page_free(others[i]);
    assert_int_equal(frames_available_count(), FRAMES);
}

static void *fault_everywhere(void *context)
{
    struct guest_memory *m = context;
    for (uint64_t at = 0; at < 4 * MIB; at += PAGE_SIZE) {
        uint64_t word = 0;
        if (guest_memory_fault(m, GPA(at), EPT_WRITE) || guest_read(m, GPA(at), &word, sizeof word))
            return context;
        struct ept_leaf leaf;
        if (ept_walk(&m->ept, GPA(at), &leaf))
            return context;
        atomic_fetch_add((_Atomic uint64_t *)phys_to_virt(leaf.address), 1);
    }
    return NULL;
}

/* Cores that fault at the same pages get the same frames, and none is cleared a second time. */
static void cores_fault_at_once(void **state)
{
    pthread_t threads[3];
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct guest_memory m;
        create(&m, 4 * MIB, FRAME_ORDER_1G);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, fault_everywhere, &m), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
            void *failed;
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
        assert_int_equal(m.present, 4 * MIB / PAGE_SIZE);
        assert_int_equal(m.pool.taken, m.present + m.ept.table_count);
        for (uint64_t at = 0; at < 4 * MIB; at += PAGE_SIZE) {
            uint64_t word;
            assert_int_equal(guest_read(&m, GPA(at), &word, sizeof word), 0);
            assert_int_equal(word, ARRAY_SIZE(threads));
        }
        guest_memory_destroy(&m);
    }
}

#define memory_test(name) cmocka_unit_test_setup_teardown(name, set_up_frames, tear_down_frames)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_ram_or_not),
        cmocka_unit_test(tables_are_counted_exactly),
        memory_test(touching_everything_takes_what_was_reserved),
        memory_test(out_of_memory_keeps_nothing),
        memory_test(flat_memory_has_no_hole),
        memory_test(rights_outside_regions),
        memory_test(bad_regions_are_refused),
        memory_test(pages_have_the_rights_of_their_regions),
        memory_test(faults_are_told_apart),
        memory_test(what_is_mapped_in_the_hole_is_not_freed),
        memory_test(untouched_memory_reads_as_zeroes),
        memory_test(copies_cross_pages_and_leaves),
        memory_test(only_the_loader_writes_what_is_read_only),
        memory_test(pages_come_zeroed_and_go_back),
        memory_test(eager_memory_has_the_largest_leaves),
        memory_test(eager_memory_goes_on_above_the_hole),
        memory_test(regions_and_touched_pages_cut_leaves),
        memory_test(fragments_are_mapped_by_pages),
        memory_test(cores_fault_at_once),
    };
    return cmocka_run_group_tests(tests, set_up_arena, NULL);
}
