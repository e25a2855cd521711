/* SPDX-License-Identifier: MIT */
/* The page-frame allocator as a word a frame, of MODEL_FRAMES that the includer has: which block a
 * frame belongs to, as head + 1; 0 is free, NOT_OURS never free. For the unit test and the fuzz
 * target. */
#ifndef TESTS_UNIT_FRAMES_MODEL_H
#define TESTS_UNIT_FRAMES_MODEL_H

#include "kernel/mm/frames.h"

#define NOT_OURS UINT32_MAX

static uint32_t owner[MODEL_FRAMES];

static bool model_all(uint64_t head, unsigned order, uint32_t value)
{
    for (uint64_t i = head; i < head + BIT(order); i++)
        if (owner[i] != value)
            return false;
    return true;
}

static void model_set(uint64_t head, unsigned order, uint32_t value)
{
    for (uint64_t i = head; i < head + BIT(order); i++)
        owner[i] = value;
}

/* With eager joining, an order has a block exactly when some aligned block of it is all free. */
static bool model_has_block(unsigned order)
{
    for (uint64_t head = 0; head + BIT(order) <= MODEL_FRAMES; head += BIT(order))
        if (model_all(head, order, 0))
            return true;
    return false;
}

/* Of the allocator itself: the frames in its free blocks. */
static uint64_t sum_of_blocks(void)
{
    uint64_t sum = 0;
    for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++)
        sum += frames_free_blocks(order) << order;
    return sum;
}

#endif
