/* SPDX-License-Identifier: MIT */
/* The guests' ring of messages: what goes in comes out, in order, at every length and place; a
 * hostile other end gets an error and never a byte outside of the ring. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "guests/lib/ring.h"

#define DATA  128u
#define BYTES (sizeof(struct ring_memory) + DATA)

/* A block of its exact size: a byte beyond it is a sanitizer's report. */
struct pair {
    struct ring_memory *memory;
    struct ring sender, receiver;
};

static struct pair make(size_t bytes)
{
    struct pair pair = {.memory = calloc(1, bytes)};

    assert_non_null(pair.memory);
    assert_int_equal(ring_open(&pair.sender, pair.memory, bytes, RING_SENDER), 0);
    assert_int_equal(ring_open(&pair.receiver, pair.memory, bytes, RING_RECEIVER), 0);
    return pair;
}

static void fill(uint8_t *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(seed * 31 + i);
}

static void put_and_get(struct pair *pair, size_t length, unsigned seed)
{
    uint8_t in[DATA], out[DATA];

    fill(in, length, seed);
    assert_int_equal(ring_put(&pair->sender, in, length), 0);
    assert_int_equal(ring_get(&pair->receiver, out, length), length);
    assert_memory_equal(in, out, length);
    assert_int_equal(ring_get(&pair->receiver, out, sizeof(out)), -EAGAIN);
}

static void every_length_at_every_place(void **state)
{
    struct pair pair = make(BYTES);
    (void)state;

    for (unsigned round = 0; round < 8; round++) {
        for (size_t length = 0; length <= DATA - 4; length++)
            put_and_get(&pair, length, round);
    }
    assert_int_equal(ring_put(&pair.sender, &pair, DATA - 3), -EMSGSIZE);
    assert_int_equal(ring_put(&pair.sender, &pair, SIZE_MAX), -EMSGSIZE);
    free(pair.memory);
}

static void full_then_in_order(void **state)
{
    struct pair pair = make(BYTES);
    uint32_t sent = 0, got = 0, value;
    (void)state;

    for (unsigned round = 0; round < 100; round++) {
        while (ring_put(&pair.sender, &sent, sizeof(sent)) == 0)
            sent++;
        assert_int_equal(sent - got, DATA / 8);
        for (unsigned i = 0; i <= round % (DATA / 8); i++) {
            assert_int_equal(ring_get(&pair.receiver, &value, sizeof(value)), sizeof(value));
            assert_int_equal(value, got++);
        }
    }
    free(pair.memory);
}

static void positions_wrap_at_32_bits(void **state)
{
    struct pair pair = {.memory = calloc(1, BYTES)};
    (void)state;

    assert_non_null(pair.memory);
    pair.memory->head = pair.memory->tail = 0u - 64;
    assert_int_equal(ring_open(&pair.sender, pair.memory, BYTES, RING_SENDER), 0);
    assert_int_equal(ring_open(&pair.receiver, pair.memory, BYTES, RING_RECEIVER), 0);
    for (unsigned i = 0; i < 20; i++)
        put_and_get(&pair, 13, i);
    assert_true(pair.memory->head < 1000);
    free(pair.memory);
}

static void goes_on_where_the_last_owner_was(void **state)
{
    struct pair pair = make(BYTES);
    uint32_t value = 1;
    (void)state;

    assert_int_equal(ring_put(&pair.sender, &value, sizeof(value)), 0);
    assert_int_equal(ring_open(&pair.sender, pair.memory, BYTES, RING_SENDER), 0);
    value = 2;
    assert_int_equal(ring_put(&pair.sender, &value, sizeof(value)), 0);
    assert_int_equal(ring_get(&pair.receiver, &value, sizeof(value)), 4);
    assert_int_equal(value, 1);
    assert_int_equal(ring_open(&pair.receiver, pair.memory, BYTES, RING_RECEIVER), 0);
    assert_int_equal(ring_get(&pair.receiver, &value, sizeof(value)), 4);
    assert_int_equal(value, 2);
    free(pair.memory);
}

static void too_long_for_the_buffer(void **state)
{
    struct pair pair = make(BYTES);
    uint8_t bytes[16] = {0};
    (void)state;

    assert_int_equal(ring_put(&pair.sender, bytes, 16), 0);
    assert_int_equal(ring_put(&pair.sender, bytes, 3), 0);
    assert_int_equal(ring_get(&pair.receiver, bytes, 15), -EMSGSIZE);
    assert_int_equal(ring_get(&pair.receiver, bytes, 15), 3);
    free(pair.memory);
}

static void hostile_head(void **state)
{
    static const uint32_t heads[] = {1, 2, 3, DATA + 4, DATA + 1, 0x80000000u, UINT32_MAX, 0u - 4};
    (void)state;

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct pair pair = make(BYTES);
        uint8_t bytes[DATA];
        pair.memory->head = heads[i];
        assert_int_equal(ring_get(&pair.receiver, bytes, sizeof(bytes)), -EPROTO);
        ring_skip(&pair.receiver);
        pair.memory->head &= ~3u;
        assert_int_equal(ring_get(&pair.receiver, bytes, sizeof(bytes)), -EAGAIN);
        free(pair.memory);
    }
}

static void hostile_length(void **state)
{
    static const uint32_t lengths[] = {5, 8, DATA, 0x7fffffff, UINT32_MAX, UINT32_MAX - 3};
    (void)state;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct pair pair = make(BYTES);
        uint8_t bytes[4 * DATA];
        assert_int_equal(ring_put(&pair.sender, "abcd", 4), 0);
        memcpy(pair.memory->data, &lengths[i], 4);
        assert_int_equal(ring_get(&pair.receiver, bytes, sizeof(bytes)), -EPROTO);
        free(pair.memory);
    }
}

static void hostile_tail(void **state)
{
    static const uint32_t tails[] = {4, 1, UINT32_MAX, 0u - DATA - 4, 0x80000000u};
    (void)state;

    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        struct pair pair = make(BYTES);
        pair.memory->tail = tails[i];
        assert_int_equal(ring_put(&pair.sender, "abcd", 4), -EPROTO);
        free(pair.memory);
    }
}

/* The other end writes what it likes, all the time. */
static void noise(void **state)
{
    struct pair pair = make(BYTES);
    uint8_t bytes[DATA];
    (void)state;

    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t *at = (uint8_t *)pair.memory + (size_t)rand() % BYTES;
        *at = (uint8_t)rand();
        int length = ring_get(&pair.receiver, bytes, (size_t)rand() % sizeof(bytes));
        assert_true(length < (int)sizeof(bytes));
        if (length == -EPROTO)
            ring_skip(&pair.receiver);
        ring_put(&pair.sender, bytes, (size_t)rand() % sizeof(bytes));
    }
    free(pair.memory);
}

static void sizes(void **state)
{
    struct ring ring;
    struct pair pair = make(BYTES + 60);
    (void)state;

    assert_int_equal(pair.sender.size, DATA);
    assert_int_equal(ring_open(&ring, pair.memory, 0, RING_SENDER), -EINVAL);
    assert_int_equal(ring_open(&ring, pair.memory, sizeof(struct ring_memory) + 63, RING_SENDER),
                     -EINVAL);
    free(pair.memory);
}

static void sleeping_flag(void **state)
{
    struct pair pair = make(BYTES);
    (void)state;

    assert_false(ring_receiver_sleeps(&pair.sender));
    ring_sleeping_set(&pair.receiver, true);
    assert_true(ring_receiver_sleeps(&pair.sender));
    ring_sleeping_set(&pair.receiver, false);
    assert_false(ring_receiver_sleeps(&pair.sender));
    free(pair.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_at_every_place),
        cmocka_unit_test(full_then_in_order),
        cmocka_unit_test(positions_wrap_at_32_bits),
        cmocka_unit_test(goes_on_where_the_last_owner_was),
        cmocka_unit_test(too_long_for_the_buffer),
        cmocka_unit_test(hostile_head),
        cmocka_unit_test(hostile_length),
        cmocka_unit_test(hostile_tail),
        cmocka_unit_test(noise),
        cmocka_unit_test(sizes),
        cmocka_unit_test(sleeping_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
