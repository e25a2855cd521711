/* SPDX-License-Identifier: MIT */
/* The MSR bitmap (SDM 24.6.9): which MSRs a guest reaches without an exit. Pure. */
#ifndef VMX_MSR_BITMAP_H
#define VMX_MSR_BITMAP_H

#include "kernel/lib/types.h"

/* Intercepts everything in the page `bitmap`, then opens reads and writes of `msrs`. Each must be
 * in 0-0x1fff or 0xc0000000-0xc0001fff: others always exit, and -EINVAL says so. */
MUST_CHECK int msr_bitmap_build(uint8_t bitmap[PAGE_SIZE], const uint32_t *msrs, size_t count);

/* Opens reads, writes or both of one more MSR. -EINVAL as above. */
MUST_CHECK int msr_bitmap_open(uint8_t bitmap[PAGE_SIZE], uint32_t msr, bool reads, bool writes);

#endif
