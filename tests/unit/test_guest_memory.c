/* SPDX-License-Identifier: MIT */
/* Guest memory: the range check against the plain definition, copies across leaves, frames that
 * come back. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <linux/errno.h>

#include "kernel/mm/frames.h"
#include "kernel/panic.h"
#include "kernel/vm/guest_memory.h"

#define ARENA       (16 * MIB)
#define ARENA_START (1 * GIB)
#define ARENA_END   (ARENA_START + ARENA)

_Noreturn void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
}

/* At a low address, because the metadata counts from physical address 0. */
static int start(void **state)
{
    static uint8_t metadata[ARENA_END / PAGE_SIZE];
    void *arena = mmap((void *)ARENA_START, ARENA, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    (void)state;
    if (arena != (void *)ARENA_START)
        return -1;
    frames_init(metadata, HPA(ARENA_END));
    frames_add(HPA(ARENA_START), HPA(ARENA_END));
    return 0;
}

/* Every byte of the range is RAM, looked at one at a time at the edges. */
static bool is_ram(const struct guest_memory *m, uint64_t at)
{
    uint64_t low = m->size < GUEST_HOLE_START ? m->size : GUEST_HOLE_START;
    return at < low || (at >= GUEST_HOLE_END && at - GUEST_HOLE_END < m->size - low);
}

static void test_range_check(void **state)
{
    static const uint64_t sizes[] = {MIB, GUEST_HOLE_START, GUEST_HOLE_START + MIB};
    static const uint64_t edges[] = {0, MIB, GUEST_HOLE_START, GUEST_HOLE_END, GUEST_HOLE_END + MIB,
                                     UINT64_MAX - 8};
    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        struct guest_memory m = {.size = sizes[s]};
        for (size_t e = 0; e < ARRAY_SIZE(edges); e++)
            for (int64_t delta = -8; delta <= 8; delta++)
                for (uint64_t length = 1; length < 16; length++) {
                    uint64_t at = edges[e] + (uint64_t)delta;
                    bool expected = at + length > at;
                    for (uint64_t i = 0; i < length; i++)
                        expected = expected && is_ram(&m, at + i);
                    assert_int_equal(guest_range_ok(&m, GPA(at), length), expected);
                }
        assert_false(guest_range_ok(&m, GPA(0), UINT64_MAX));
        assert_false(guest_range_ok(&m, GPA(1), UINT64_MAX));
        assert_true(guest_range_ok(&m, GPA(0), 0));
    }
}

static void test_copies(void **state)
{
    uint64_t before = frames_free_count();
    struct guest_memory m;
    (void)state;
    /* 4 KiB leaves below 1 MiB, a large one above 2 MiB: copies cross both kinds of edges */
    assert_int_equal(guest_memory_create(&m, 6 * MIB, FRAME_ORDER_2M, MIB), 0);
    static uint8_t out[3 * PAGE_SIZE], in[3 * PAGE_SIZE];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7 + 1);
    static const uint64_t places[] = {0, 100, MIB - PAGE_SIZE - 3, 2 * MIB - PAGE_SIZE - 1,
                                      6 * MIB - sizeof out};
    for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
        assert_int_equal(guest_write(&m, GPA(places[p]), out, sizeof out), 0);
        memset(in, 0, sizeof in);
        assert_int_equal(guest_read(&m, GPA(places[p]), in, sizeof in), 0);
        assert_memory_equal(in, out, sizeof out);
    }
    memset(in, 0, sizeof in);
    assert_int_equal(guest_read(&m, GPA(6 * MIB - 1), in, 2), -EFAULT);
    assert_int_equal(in[0], 0); /* nothing is copied */
    guest_memory_destroy(&m);
    assert_int_equal(frames_free_count(), before);
}

static void test_memory_is_zeroed_and_given_back(void **state)
{
    uint64_t before = frames_free_count();
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct guest_memory m;
        uint64_t word;
        assert_int_equal(guest_memory_create(&m, 4 * MIB, FRAME_ORDER_2M, 0), 0);
        for (uint64_t at = 0; at < 4 * MIB; at += PAGE_SIZE) {
            assert_int_equal(guest_read(&m, GPA(at), &word, sizeof word), 0);
            assert_int_equal(word, 0);
            word = ~0ull;
            assert_int_equal(guest_write(&m, GPA(at), &word, sizeof word), 0);
        }
        guest_memory_destroy(&m);
        assert_int_equal(frames_free_count(), before);
    }
    struct guest_memory too_much;
    assert_int_equal(guest_memory_create(&too_much, ARENA, FRAME_ORDER_2M, 0), -ENOMEM);
    assert_int_equal(frames_free_count(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_check),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_memory_is_zeroed_and_given_back),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
