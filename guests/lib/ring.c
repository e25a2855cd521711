/* SPDX-License-Identifier: MIT */
/* The ring: positions with acquire and release, bounds checked against our own numbers only. */
#include "guests/lib/ring.h"

#include <linux/errno.h>
#include <string.h>

#define WORD     4u
#define DATA_MIN 64u
#define DATA_MAX (1u << 30) /* less than half the numbers that a position can have */

int ring_open(struct ring *ring, void *memory, size_t bytes, enum ring_end end)
{
    if (bytes < sizeof(struct ring_memory) + DATA_MIN)
        return -EINVAL;
    bytes -= sizeof(struct ring_memory);
    ring->memory = memory;
    ring->size = DATA_MIN;
    while (ring->size < DATA_MAX && ring->size * 2 <= bytes)
        ring->size *= 2;
    _Atomic uint32_t *own = end == RING_SENDER ? &ring->memory->head : &ring->memory->tail;
    ring->position = atomic_load_explicit(own, memory_order_relaxed) & ~(WORD - 1);
    return 0;
}

static uint32_t padded(uint32_t length)
{
    return (length + WORD - 1) & ~(WORD - 1);
}

/* How much of `length` bytes from `position` lies before the data's end. */
static uint32_t before_wrap(const struct ring *ring, uint32_t position, uint32_t length)
{
    uint32_t to_end = ring->size - (position & (ring->size - 1));
    return length < to_end ? length : to_end;
}

static uint8_t *at(const struct ring *ring, uint32_t position)
{
    return &ring->memory->data[position & (ring->size - 1)];
}

static _Atomic uint32_t *length_at(const struct ring *ring, uint32_t position)
{
    return (_Atomic uint32_t *)(void *)at(ring, position);
}

static void copy_in(const struct ring *ring, uint32_t position, const void *from, uint32_t length)
{
    uint32_t first = before_wrap(ring, position, length);

    memcpy(at(ring, position), from, first);
    memcpy(ring->memory->data, (const uint8_t *)from + first, length - first);
}

static void copy_out(const struct ring *ring, uint32_t position, void *to, uint32_t length)
{
    uint32_t first = before_wrap(ring, position, length);

    memcpy(to, at(ring, position), first);
    memcpy((uint8_t *)to + first, ring->memory->data, length - first);
}

int ring_put(struct ring *ring, const void *message, size_t length)
{
    if (length > ring->size - WORD)
        return -EMSGSIZE;
    /* acquire: the receiver has copied out what it has freed */
    uint32_t tail = atomic_load_explicit(&ring->memory->tail, memory_order_acquire);
    uint32_t used = ring->position - tail;
    if (used > ring->size || used % WORD != 0)
        return -EPROTO;
    uint32_t needed = WORD + padded((uint32_t)length);
    if (needed > ring->size - used)
        return -EAGAIN;
    /* relaxed: the head below publishes it */
    atomic_store_explicit(length_at(ring, ring->position), (uint32_t)length, memory_order_relaxed);
    copy_in(ring, ring->position + WORD, message, (uint32_t)length);
    ring->position += needed;
    atomic_store_explicit(&ring->memory->head, ring->position, memory_order_release);
    return 0;
}

static void free_to(struct ring *ring, uint32_t position)
{
    ring->position = position;
    /* release: the sender may write there once we have read */
    atomic_store_explicit(&ring->memory->tail, position, memory_order_release);
}

int ring_get(struct ring *ring, void *buffer, size_t size)
{
    uint32_t head = atomic_load_explicit(&ring->memory->head, memory_order_acquire);
    uint32_t used = head - ring->position;
    if (used == 0)
        return -EAGAIN;
    if (used > ring->size || used % WORD != 0)
        return -EPROTO;
    /* once: the sender may change it while we look */
    uint32_t length = atomic_load_explicit(length_at(ring, ring->position), memory_order_relaxed);
    if (length > used - WORD)
        return -EPROTO;
    uint32_t next = ring->position + WORD + padded(length);
    if (length > size) {
        free_to(ring, next);
        return -EMSGSIZE;
    }
    copy_out(ring, ring->position + WORD, buffer, length);
    free_to(ring, next);
    return (int)length;
}

void ring_skip(struct ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->memory->head, memory_order_relaxed);
    free_to(ring, head & ~(WORD - 1));
}

/* Two writes and two reads cross here: head and then sleeping by the sender, sleeping and then head
 * by the receiver. Only sequential consistency keeps both from missing the other. */
void ring_sleeping_set(struct ring *ring, bool sleeping)
{
    atomic_store_explicit(&ring->memory->sleeping, sleeping, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

bool ring_receiver_sleeps(const struct ring *ring)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&ring->memory->sleeping, memory_order_relaxed);
}
