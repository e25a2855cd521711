/* SPDX-License-Identifier: MIT */
/* Usable memory as what is left of the firmware's map. The address line is swept from boundary to
 * boundary; between two boundaries nothing changes, so each stretch is usable as a whole or not at
 * all. The types are those of ACPI 6.4, 15.4 (the address range types). */
#include "kernel/mm/memory_map.h"

#include <linux/errno.h>

#define SPACE_END UINT64_MAX /* the last byte of 2^64 is given up: its page has no end in 64 bits */

struct map {
    const struct boot_memory *memory;
    size_t memory_count;
    const struct boot_range *reserved;
    size_t reserved_count;
};

/* What the sweep knows at a position. */
struct stretch {
    bool available;
    bool taken;
    uint64_t end; /* the first boundary behind the position */
};

/* Returns true when `range` covers `position`, and pulls `*end` to its next boundary. */
static bool covers(const struct boot_range *range, uint64_t position, uint64_t *end)
{
    uint64_t range_end = range->end < range->start ? SPACE_END : range->end; /* wraps: cut */

    if (range->start == range_end || range_end <= position)
        return false;
    if (range->start > position) {
        *end = MIN(*end, range->start);
        return false;
    }
    *end = MIN(*end, range_end);
    return true;
}

static struct stretch stretch_at(const struct map *map, uint64_t position)
{
    struct stretch stretch = {.end = SPACE_END};

    for (size_t i = 0; i < map->memory_count; i++) {
        if (!covers(&map->memory[i].range, position, &stretch.end))
            continue;
        if (map->memory[i].type == BOOT_MEMORY_AVAILABLE)
            stretch.available = true;
        else
            stretch.taken = true;
    }
    for (size_t i = 0; i < map->reserved_count; i++) {
        if (covers(&map->reserved[i], position, &stretch.end))
            stretch.taken = true;
    }
    return stretch;
}

/* The whole pages in `bytes`: false when there is none. A byte taken within a page splits the
 * stretch there, so rounding inwards here also rounds what is reserved outwards. */
static bool whole_pages(struct boot_range bytes, struct boot_range *pages)
{
    if (bytes.start > ALIGN_DOWN(SPACE_END, PAGE_SIZE))
        return false;
    pages->start = ALIGN_UP(bytes.start, PAGE_SIZE);
    pages->end = ALIGN_DOWN(bytes.end, PAGE_SIZE);
    return pages->start < pages->end;
}

/* The next run of usable bytes at or behind `position`; empty at the end of the address space. */
static struct boot_range next_run(const struct map *map, uint64_t position)
{
    struct boot_range run = {.start = position, .end = position};

    while (run.end < SPACE_END) {
        struct stretch stretch = stretch_at(map, run.end);
        bool usable = stretch.available && !stretch.taken;
        if (!usable && run.start < run.end)
            break;
        run.end = stretch.end;
        if (!usable)
            run.start = stretch.end;
    }
    return run;
}

int memory_map_usable(const struct boot_memory *memory, size_t memory_count,
                      const struct boot_range *reserved, size_t reserved_count,
                      struct boot_range *usable, size_t max)
{
    const struct map map = {memory, memory_count, reserved, reserved_count};
    size_t count = 0;

    for (uint64_t position = 0; position < SPACE_END;) {
        struct boot_range run = next_run(&map, position);
        struct boot_range pages;

        position = run.end;
        if (!whole_pages(run, &pages))
            continue;
        if (count == max)
            return -E2BIG;
        usable[count++] = pages;
    }
    return (int)count;
}
