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

/* Takes 2^order frames, aligned to their size and zeroed. Returns 0, or -ENOMEM: no block of that
 * size is free, or so many frames are not free beside the reserved ones. */
MUST_CHECK int frame_alloc(unsigned order, hpa_t *frame);

/* Gives back what frame_alloc or frame_alloc_reserved gave, with the same order. Returns 0, or
 * -EINVAL when the frame was not handed out with that order (a double free, say): a host bug that
 * the caller must report. */
int frame_free(hpa_t frame, unsigned order);

/* A reservation counts free frames that frame_alloc leaves alone; which ones they will be is open.
 * Reserves `count` frames: 0, or -ENOMEM when fewer are free and not reserved yet. */
MUST_CHECK int frames_reserve(uint64_t count);

/* Ends a reservation of `count` frames. More than are reserved is a host bug and traps (#UD). */
void frames_unreserve(uint64_t count);

/* As frame_alloc, but out of the reserved frames, of which there are 2^order fewer then. The caller
 * must have reserved so many; a single frame always comes then, -ENOMEM means that no larger block
 * is free. */
MUST_CHECK int frame_alloc_reserved(unsigned order, hpa_t *frame);

/* Likewise single frames, each to be freed by itself, that lie together from `first` on: as many as
 * the smallest free block has, 2^max_order at most. They are not zeroed. Returns how many; 0: there
 * is none. */
MUST_CHECK uint64_t frames_take_reserved(unsigned max_order, hpa_t *first);

/* As frame_free; the frames are reserved again at once, so that nobody takes them in between. */
int frame_free_reserved(hpa_t frame, unsigned order);

/* How many 4 KiB frames are free (reserved ones too), how many of them are not reserved, and how
 * many there are at all. */
uint64_t frames_free_count(void);
uint64_t frames_available_count(void);
uint64_t frames_total_count(void);

/* For audits: calls `visit` for each block, free or handed out, in ascending order, with the
 * allocator locked, and compares them with the free lists and the counts. False, and one line in
 * `error`: they do not agree, and what was visited is not to be relied on. */
#define FRAMES_ERROR_MAX 120
MUST_CHECK bool frames_check(void (*visit)(hpa_t block, unsigned order, bool free, void *context),
                             void *context, char error[FRAMES_ERROR_MAX]);

/* Where metadata ends: all frames are below. */
hpa_t frames_end(void);

/* How many free blocks of 2^order frames there are that are part of no larger one. */
uint64_t frames_free_blocks(unsigned order);

/* The same for callers that want one zeroed page by pointer; NULL when memory is out. Freeing what
 * page_alloc did not hand out, NULL included, traps (#UD). */
MUST_CHECK void *page_alloc(void);
void page_free(void *page);

#endif
