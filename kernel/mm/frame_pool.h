/* SPDX-License-Identifier: MIT */
/* A pool: frames set aside for one owner, so that it never meets a lack of them while it runs. They
 * are only counted when the pool is made, and taken from the allocator when they are needed. The
 * owner serialises calls. */
#ifndef KERNEL_MM_FRAME_POOL_H
#define KERNEL_MM_FRAME_POOL_H

#include "kernel/lib/types.h"

struct frame_pool {
    uint64_t reserved; /* 4 KiB frames that may still be taken */
    uint64_t taken;    /* that are in use now */
    uint64_t stock;    /* of the reserved: so many lie ready from `next` on, not zeroed */
    hpa_t next;
};

/* Reserves `frames` 4 KiB frames. 0, or -ENOMEM when fewer are neither used nor reserved. */
MUST_CHECK int frame_pool_create(struct frame_pool *pool, uint64_t frames);

/* Gives the rest of the reservation back. Everything taken must have been given back (a host bug
 * that panics, otherwise). A pool of all zeroes is empty and may be destroyed too. */
void frame_pool_destroy(struct frame_pool *pool);

/* One zeroed page, or NULL when the reservation is used up. */
MUST_CHECK void *frame_pool_page(struct frame_pool *pool);
void frame_pool_free_page(struct frame_pool *pool, void *page);

/* 2^order zeroed frames in one aligned block: 0, or -ENOMEM when the reservation does not cover it
 * or memory is too fragmented (single pages still come then). */
MUST_CHECK int frame_pool_block(struct frame_pool *pool, unsigned order, hpa_t *block);
void frame_pool_free_block(struct frame_pool *pool, unsigned order, hpa_t block);

#endif
