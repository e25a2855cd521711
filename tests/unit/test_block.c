/* SPDX-License-Identifier: MIT */
/* Disks against a plain array of bytes: what is read is what was written last, else the image,
 * which stays as it was; requests outside the disk or the guest's memory; pages that come back. The
 * sources are included, so that their direct map starts at an arena. */
#define _GNU_SOURCE
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
#define part_in_page block_part_in_page
#include "kernel/vm/block.c"

#define ARENA_SIZE (64 * MIB)
#define DISK_SIZE  (5 * PAGE_SIZE + 1024) /* it ends within a page */
#define GUEST_SIZE MIB
#define LONGEST    (3 * PAGE_SIZE)

static struct guest_memory memory;
static struct frame_pool disk_pool;
static struct spinlock disk_lock;
static uint8_t image[DISK_SIZE + 3], model[DISK_SIZE], pattern[LONGEST], seen[LONGEST];

_Noreturn void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
}

static int set_up(void **state)
{
    static uint8_t metadata[ARENA_SIZE / PAGE_SIZE];
    (void)state;
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return -1;
    frames_init(metadata, HPA(ARENA_SIZE));
    frames_add(HPA(0), HPA(ARENA_SIZE));
    for (size_t i = 0; i < sizeof image; i++)
        image[i] = (uint8_t)(i * 7 + i / 251);
    return guest_memory_create(&memory, GUEST_SIZE, GUEST_WITH_HOLE, FRAME_ORDER_4K, 0);
}

/* Every frame is back. */
static int tear_down(void **state)
{
    (void)state;
    guest_memory_destroy(&memory);
    int lost = frames_available_count() != frames_total_count();
    return munmap(arena, ARENA_SIZE) || lost ? -1 : 0;
}

static void start(struct block *block)
{
    uint64_t frames = block_frames(block);
    assert_int_equal(frame_pool_create(&disk_pool, frames), 0);
    assert_int_equal(block_start(block, &disk_pool, &disk_lock), 0);
}

static void stop(struct block *block)
{
    block_stop(block);
    block_stop(block); /* once more does nothing */
    assert_int_equal(disk_pool.taken, 0);
    frame_pool_destroy(&disk_pool);
}

static uint64_t pick(uint64_t limit)
{
    return (uint64_t)rand() % limit;
}

static void write_some(struct block *block)
{
    uint64_t offset = pick(DISK_SIZE), length = 1 + pick(MIN(DISK_SIZE - offset, LONGEST));
    gpa_t data = GPA(pick(GUEST_SIZE - LONGEST));
    for (uint64_t i = 0; i < length; i++)
        pattern[i] = (uint8_t)rand();
    assert_int_equal(guest_write(&memory, data, pattern, length), 0);
    assert_int_equal(block_write(block, &memory, offset, data, length), 0);
    memcpy(model + offset, pattern, length);
}

static void read_some(struct block *block)
{
    uint64_t offset = pick(DISK_SIZE), length = 1 + pick(MIN(DISK_SIZE - offset, LONGEST));
    gpa_t data = GPA(pick(GUEST_SIZE - LONGEST));
    assert_int_equal(block_read(block, &memory, offset, data, length), 0);
    assert_int_equal(guest_read(&memory, data, seen, length), 0);
    assert_memory_equal(seen, model + offset, length);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 4; turn++) {
        bool has_image = turn & 1; /* at an odd address */
        struct block block = {.image = has_image ? image + 3 : NULL, .capacity = DISK_SIZE,
                              .block_size = 512};
        uint8_t copy[sizeof image];
        memcpy(copy, image, sizeof image);
        memset(model, 0, sizeof model);
        if (has_image)
            memcpy(model, image + 3, sizeof model);
        start(&block);
        srand(turn);
        for (unsigned i = 0; i < 2000; i++) {
            read_some(&block);
            if (i > 100 && i % 3 == 0)
                write_some(&block);
        }
        assert_memory_equal(copy, image, sizeof image);
        assert_int_equal(disk_pool.reserved, 0); /* all was written: the reservation fits exactly */
        stop(&block);
    }
}

static void two_guests_share_an_image(void **state)
{
    struct block one = {.image = image, .capacity = DISK_SIZE, .block_size = 512}, two = one;
    uint8_t byte = (uint8_t)~image[0];
    (void)state;
    assert_int_equal(frame_pool_create(&disk_pool, 2 * block_frames(&one)), 0);
    assert_int_equal(block_start(&one, &disk_pool, &disk_lock), 0);
    assert_int_equal(block_start(&two, &disk_pool, &disk_lock), 0);
    assert_int_equal(guest_write(&memory, GPA(0), &byte, 1), 0);
    assert_int_equal(block_write(&one, &memory, 0, GPA(0), 1), 0);
    assert_int_equal(block_read(&two, &memory, 0, GPA(PAGE_SIZE), 1), 0);
    assert_int_equal(guest_read(&memory, GPA(PAGE_SIZE), seen, 1), 0);
    assert_int_equal(seen[0], image[0]);
    block_stop(&one);
    stop(&two);
}

static void bad_requests_are_refused(void **state)
{
    static const struct {
        uint64_t offset, data, length;
        int error;
    } cases[] = {
        {DISK_SIZE, 0, 0, -EINVAL},
        {DISK_SIZE, 0, 1, -EINVAL},
        {DISK_SIZE - 1, 0, 2, -EINVAL},
        {UINT64_MAX, 0, 2, -EINVAL},
        {1, 0, UINT64_MAX, -EINVAL},
        {0, 0, ATOLL_BLOCK_MAX + 1, -EINVAL},
        {0, GUEST_SIZE - 511, 512, -EFAULT},
        {0, GUEST_SIZE, 1, -EFAULT},
        {0, UINT64_MAX, 512, -EFAULT},
        {0, UINT64_MAX - 511, 512, -EFAULT},
        {DISK_SIZE - 1, GUEST_SIZE - 1, 1, 0},
        {0, GUEST_SIZE, 0, 0},
    };
    struct block block = {.image = image, .capacity = DISK_SIZE, .block_size = 512};
    (void)state;
    start(&block);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(block_read(&block, &memory, cases[i].offset, GPA(cases[i].data),
                                    cases[i].length), cases[i].error);
        assert_int_equal(block_write(&block, &memory, cases[i].offset, GPA(cases[i].data),
                                     cases[i].length), cases[i].error);
    }
    stop(&block);
}

static void read_only_disks_take_nothing(void **state)
{
    struct block block = {.image = image, .capacity = DISK_SIZE, .block_size = 512,
                          .read_only = true};
    (void)state;
    assert_int_equal(block_frames(&block), 0);
    start(&block);
    assert_int_equal(block_write(&block, &memory, 0, GPA(0), 512), -EROFS);
    memcpy(model, image, sizeof model);
    read_some(&block);
    stop(&block);
}

static void frames_for_large_disks(void **state)
{
    (void)state;
    struct block block = {.capacity = 512, .block_size = 512};
    assert_int_equal(block_frames(&block), 1 + 1 + 1 + 1 + 1);
    block.capacity = 512 * PAGE_SIZE;
    assert_int_equal(block_frames(&block), 512 + 1 + 1 + 1 + 1);
    block.capacity = 2 * GIB;
    assert_int_equal(block_frames(&block), 512 * 1024 + 1024 + 2 + 1 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_was_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_guests_share_an_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_requests_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_only_disks_take_nothing, set_up, tear_down),
        cmocka_unit_test(frames_for_large_disks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
