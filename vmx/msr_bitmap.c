/* SPDX-License-Identifier: MIT */
/* The MSR bitmap: four parts of 1 KiB, read low, read high, write low, write high. A set bit
 * exits. */
#include "vmx/msr_bitmap.h"

#include <linux/errno.h>
#include <string.h>

#define LOW_LAST   0x1fffu
#define HIGH_FIRST 0xc0000000u
#define HIGH_LAST  0xc0001fffu
#define PART       1024
#define WRITES     (2 * PART) /* from the read half to the write half */

int msr_bitmap_open(uint8_t bitmap[PAGE_SIZE], uint32_t msr, bool reads, bool writes)
{
    bool low = msr <= LOW_LAST;
    if (!low && (msr < HIGH_FIRST || msr > HIGH_LAST))
        return -EINVAL;
    uint32_t bit = msr & LOW_LAST;
    uint8_t *byte = bitmap + (low ? 0 : PART) + bit / 8;
    uint8_t open = (uint8_t)~(1u << (bit % 8));
    if (reads)
        byte[0] &= open;
    if (writes)
        byte[WRITES] &= open;
    return 0;
}

int msr_bitmap_build(uint8_t bitmap[PAGE_SIZE], const uint32_t *msrs, size_t count)
{
    memset(bitmap, 0xff, PAGE_SIZE);
    for (size_t i = 0; i < count; i++)
        if (msr_bitmap_open(bitmap, msrs[i], true, true))
            return -EINVAL;
    return 0;
}
