/* SPDX-License-Identifier: MIT */
/* Usable memory: chosen maps, then random ones on a small address space against a model that looks
 * at every byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/memory_map.h"

#define USABLE_MAX 32

static struct boot_range usable[USABLE_MAX];

static struct boot_memory entry(uint64_t start, uint64_t end, uint32_t type)
{
    return (struct boot_memory){.range = {start, end}, .type = type};
}

static struct boot_memory available(uint64_t start, uint64_t end)
{
    return entry(start, end, BOOT_MEMORY_AVAILABLE);
}

static void expect(int count, const struct boot_range *wanted, int wanted_count)
{
    assert_int_equal(count, wanted_count);
    for (int i = 0; i < count; i++) {
        if (usable[i].start != wanted[i].start || usable[i].end != wanted[i].end)
            fail_msg("range %d is 0x%lx-0x%lx, wanted 0x%lx-0x%lx", i, usable[i].start,
                     usable[i].end, wanted[i].start, wanted[i].end);
    }
}

#define EXPECT(memory, reserved, reserved_count, ...)                                        \
    do {                                                                                     \
        const struct boot_range wanted_[] = {__VA_ARGS__};                                   \
        expect(memory_map_usable((memory), ARRAY_SIZE(memory), (reserved), (reserved_count), \
                                 usable, USABLE_MAX),                                        \
               wanted_, ARRAY_SIZE(wanted_));                                                \
    } while (0)

static void test_nothing(void **state)
{
    (void)state;
    assert_int_equal(memory_map_usable(NULL, 0, NULL, 0, usable, USABLE_MAX), 0);
    assert_int_equal(memory_map_usable(NULL, 0, NULL, 0, NULL, 0), 0);
}

static void test_a_pc(void **state)
{
    const struct boot_memory memory[] = {
        available(0, 0x9fc00),
        entry(0x9fc00, 0xa0000, BOOT_MEMORY_RESERVED),
        entry(0xf0000, 0x100000, BOOT_MEMORY_RESERVED),
        available(0x100000, 0x7fe0000),
        entry(0x7fe0000, 0x8000000, BOOT_MEMORY_ACPI_RECLAIMABLE),
        available(0x100000000, 0x180000000),
    };
    const struct boot_range reserved[] = {
        {0x8000, 0x9000},       /* the trampoline page */
        {0x100000, 0x150010},   /* the image */
        {0x200800, 0x300001},   /* a module */
    };

    (void)state;
    EXPECT(memory, reserved, ARRAY_SIZE(reserved), {0, 0x8000}, {0x9000, 0x9f000},
           {0x151000, 0x200000}, {0x301000, 0x7fe0000}, {0x100000000, 0x180000000});
}

static void test_unsorted_and_overlapping(void **state)
{
    const struct boot_memory memory[] = {
        available(0x8000, 0xa000),
        available(0x1000, 0x4000),
        available(0x3000, 0x6000),
        entry(0x9000, 0x20000, 99), /* an unknown type counts as reserved */
        available(0x8000, 0xa000),
    };

    (void)state;
    EXPECT(memory, NULL, 0, {0x1000, 0x6000}, {0x8000, 0x9000});
}

static void test_neighbours_merge_before_rounding(void **state)
{
    const struct boot_memory memory[] = {available(0x1800, 0x3000), available(0x0, 0x1800)};

    (void)state;
    EXPECT(memory, NULL, 0, {0, 0x3000});
}

static void test_less_than_a_page(void **state)
{
    const struct boot_memory memory[] = {available(0x1001, 0x2fff), available(0x4000, 0x4fff)};

    (void)state;
    assert_int_equal(memory_map_usable(memory, 2, NULL, 0, usable, USABLE_MAX), 0);
}

static void test_one_reserved_byte_takes_its_page(void **state)
{
    const struct boot_memory memory[] = {available(0, 0x10000)};
    const struct boot_range reserved[] = {{0x3fff, 0x4000}, {0x8000, 0x8001}, {0xa800, 0xa800}};

    (void)state;
    EXPECT(memory, reserved, 3, {0, 0x3000}, {0x4000, 0x8000}, {0x9000, 0x10000});
}

static void test_the_end_of_the_address_space(void **state)
{
    const struct boot_memory to_the_end[] = {available(0xffffffffffff0000, UINT64_MAX)};
    const struct boot_memory wrapping[] = {available(0xffffffffffff0000, 0x1000)};
    const struct boot_memory ends_at_0[] = {available(0xffffffffffff0000, 0)};
    const struct boot_memory last_page[] = {available(0xfffffffffffff000, UINT64_MAX)};
    const struct boot_memory last_bytes[] = {available(0xfffffffffffff001, UINT64_MAX)};
    const struct boot_memory all[] = {available(0, UINT64_MAX)};
    const struct boot_range reserved[] = {{0xffffffffffff8000, 3}};

    (void)state;
    EXPECT(to_the_end, NULL, 0, {0xffffffffffff0000, 0xfffffffffffff000});
    EXPECT(wrapping, NULL, 0, {0xffffffffffff0000, 0xfffffffffffff000});
    EXPECT(ends_at_0, NULL, 0, {0xffffffffffff0000, 0xfffffffffffff000});
    EXPECT(all, NULL, 0, {0, 0xfffffffffffff000});
    EXPECT(all, reserved, 1, {0, 0xffffffffffff8000});
    assert_int_equal(memory_map_usable(last_page, 1, NULL, 0, usable, USABLE_MAX), 0);
    assert_int_equal(memory_map_usable(last_bytes, 1, NULL, 0, usable, USABLE_MAX), 0);
}

static void test_too_many_ranges(void **state)
{
    struct boot_memory memory[4];
    struct boot_range exact[3];

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        memory[i] = available(i * 0x2000, i * 0x2000 + 0x1000);
    assert_int_equal(memory_map_usable(memory, 3, NULL, 0, exact, 3), 3);
    assert_int_equal(memory_map_usable(memory, 4, NULL, 0, exact, 3), -E2BIG);
    assert_int_equal(memory_map_usable(memory, 1, NULL, 0, exact, 0), -E2BIG);
}

/* The model: 8 pages. A page is usable when each of its bytes is available and none is taken. */
#define MODEL_SIZE (8 * PAGE_SIZE)

static uint8_t model[MODEL_SIZE];

enum { MODEL_AVAILABLE = 1, MODEL_TAKEN = 2 };

static void model_mark(struct boot_range range, uint8_t mark)
{
    uint64_t end = range.end < range.start ? MODEL_SIZE : range.end;

    for (uint64_t i = range.start; i < end && i < MODEL_SIZE; i++)
        model[i] |= mark;
}

static bool model_usable(uint64_t page)
{
    for (uint64_t i = 0; i < PAGE_SIZE; i++) {
        if (model[page * PAGE_SIZE + i] != MODEL_AVAILABLE)
            return false;
    }
    return true;
}

/* Often on a page boundary or a byte beside one. */
static uint64_t random_address(void)
{
    uint64_t page = (uint64_t)(rand() % 9) * PAGE_SIZE;

    switch (rand() % 4) {
    case 0: return MIN(page + (uint64_t)(rand() % 4096), MODEL_SIZE);
    case 1: return page > 0 ? page - 1 : page;
    case 2: return MIN(page + 1, MODEL_SIZE);
    default: return page;
    }
}

static struct boot_range random_range(void)
{
    uint64_t a = random_address(), b = random_address();

    if (rand() % 16 == 0) /* wraps, unless it is upright by chance */
        return (struct boot_range){a, b};
    return (struct boot_range){MIN(a, b), MAX(a, b)};
}

/* Bytes above the model that a wrapping range adds are looked at only as far as the model goes. */
static void check_against_model(int count)
{
    bool pages[8] = {false};

    for (int i = 0; i < count; i++) {
        assert_true(IS_ALIGNED(usable[i].start, PAGE_SIZE) && IS_ALIGNED(usable[i].end, PAGE_SIZE));
        assert_true(usable[i].start < usable[i].end);
        assert_true(i == 0 || usable[i - 1].end < usable[i].start); /* ascending and merged */
        for (uint64_t at = usable[i].start; at < MIN(usable[i].end, MODEL_SIZE); at += PAGE_SIZE)
            pages[at / PAGE_SIZE] = true;
    }
    for (uint64_t page = 0; page < 8; page++) {
        if (pages[page] != model_usable(page))
            fail_msg("page %lu: got %d, the model says %d", page, pages[page], !pages[page]);
    }
}

static void test_random_maps_against_the_model(void **state)
{
    struct boot_memory memory[8];
    struct boot_range reserved[4];

    (void)state;
    srand(1);
    for (int round = 0; round < 4000; round++) {
        size_t memory_count = (size_t)(rand() % 9), reserved_count = (size_t)(rand() % 5);

        memset(model, 0, sizeof(model));
        for (size_t i = 0; i < memory_count; i++) {
            bool is_available = rand() % 3 != 0;
            memory[i].type = is_available ? 1 : (uint32_t)(rand() % 7);
            memory[i].range = random_range();
            model_mark(memory[i].range, memory[i].type == 1 ? MODEL_AVAILABLE : MODEL_TAKEN);
        }
        for (size_t i = 0; i < reserved_count; i++) {
            reserved[i] = random_range();
            model_mark(reserved[i], MODEL_TAKEN);
        }
        check_against_model(memory_map_usable(memory, memory_count, reserved, reserved_count,
                                              usable, USABLE_MAX));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_a_pc),
        cmocka_unit_test(test_unsorted_and_overlapping),
        cmocka_unit_test(test_neighbours_merge_before_rounding),
        cmocka_unit_test(test_less_than_a_page),
        cmocka_unit_test(test_one_reserved_byte_takes_its_page),
        cmocka_unit_test(test_the_end_of_the_address_space),
        cmocka_unit_test(test_too_many_ranges),
        cmocka_unit_test(test_random_maps_against_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
