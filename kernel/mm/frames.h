/* SPDX-License-Identifier: MIT */
/* The page-frame allocator: a buddy allocator over all usable RAM, orders 0 (4 KiB) to
 * FRAME_MAX_ORDER (1 GiB). One byte of metadata a frame; the free lists run through the free
 * frames themselves. */
#ifndef KERNEL_MM_FRAMES_H
#define KERNEL_MM_FRAMES_H

#include "kernel/lib/types.h"

#define FRAME_ORDER_4K  0
#define FRAME_ORDER_2M  9
#define FRAME_ORDER_1G  18
#define FRAME_MAX_ORDER FRAME_ORDER_1G

/* Starts with no frame free. `metadata` has one byte for each frame below `end` (a physical
 * address); it must stay, and is reached by the direct map. */
void frames_init(uint8_t *metadata, hpa_t end);

/* Gives [start, end) to the allocator, rounded inwards to whole pages. Ranges must not overlap;
 * what lies at or above the `end` of frames_init is left out. Frame 0 is never handed out. */
void frames_add(hpa_t start, hpa_t end);

/* Takes 2^order frames, aligned to their size and zeroed. Returns 0, or -ENOMEM. */
MUST_CHECK int frame_alloc(unsigned order, hpa_t *frame);

/* Gives back what frame_alloc gave, with the same order. Returns 0, or -EINVAL when the frame was
 * not handed out with that order (a double free, say): a host bug that the caller must report. */
int frame_free(hpa_t frame, unsigned order);

/* How many 4 KiB frames are free, and how many there are at all. */
uint64_t frames_free_count(void);
uint64_t frames_total_count(void);

/* The same for callers that want one zeroed page by pointer; NULL when memory is out. Freeing what
 * page_alloc did not hand out, NULL included, traps (#UD). */
MUST_CHECK void *page_alloc(void);
void page_free(void *page);

#endif
