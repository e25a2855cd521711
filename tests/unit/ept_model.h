/* SPDX-License-Identifier: MIT */
/* An EPT as a dictionary of leaves, LEAVES_MAX at most, that knows nothing of tables: for the unit
 * test and the fuzz target. */
#ifndef TESTS_UNIT_EPT_MODEL_H
#define TESTS_UNIT_EPT_MODEL_H

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/phys.h"
#include "vmx/ept.h"

/* The dictionary: leaves in ascending order. */
struct leaf {
    uint64_t guest, host;
    unsigned order;
    uint8_t access, type;
};

struct model {
    size_t count;
    struct leaf leaves[LEAVES_MAX];
};

static uint64_t size_of(const struct leaf *leaf)
{
    return PAGE_SIZE << leaf->order;
}

/* The first leaf that ends above `guest`. */
static size_t model_position(const struct model *in, uint64_t guest)
{
    size_t low = 0, high = in->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (in->leaves[middle].guest + size_of(&in->leaves[middle]) <= guest)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct leaf *model_find(struct model *in, uint64_t guest)
{
    size_t i = model_position(in, guest);
    return i < in->count && in->leaves[i].guest <= guest ? &in->leaves[i] : NULL;
}

/* Makes room for `count` leaves in place of the `old` ones at `i`. */
static void model_replace(struct model *in, size_t i, size_t old, size_t count)
{
    if (in->count - old + count > LEAVES_MAX)
        abort();
    memmove(&in->leaves[i + count], &in->leaves[i + old],
            (in->count - i - old) * sizeof(struct leaf));
    in->count += count - old;
}

static int model_map(struct model *in, struct leaf leaf)
{
    size_t i = model_position(in, leaf.guest);
    if (i < in->count && in->leaves[i].guest < leaf.guest + size_of(&leaf))
        return -EEXIST;
    model_replace(in, i, 0, 1);
    in->leaves[i] = leaf;
    return 0;
}

static int model_protect(struct model *in, uint64_t start, uint64_t end, uint8_t access)
{
    for (uint64_t at = start; at < end; at = ALIGN_UP(at + 1, PAGE_SIZE)) {
        const struct leaf *leaf = model_find(in, at);
        if (leaf == NULL)
            return -ENOENT;
        at = leaf->guest + size_of(leaf) - 1;
    }
    if (start == end)
        return 0;
    for (size_t i = model_position(in, start); i < in->count && in->leaves[i].guest < end;) {
        struct leaf old = in->leaves[i];
        bool whole = old.guest >= start && old.guest + size_of(&old) <= end;
        if (whole || old.access == access) {
            in->leaves[i++].access = access;
        } else if (old.guest + size_of(&old) <= start) {
            i++; /* a piece before the range */
        } else {
            model_replace(in, i, 1, 512);
            for (size_t piece = 0; piece < 512; piece++) {
                in->leaves[i + piece] = old;
                in->leaves[i + piece].order = old.order - 9;
                in->leaves[i + piece].guest += piece * (size_of(&old) / 512);
                in->leaves[i + piece].host += piece * (size_of(&old) / 512);
            }
        }
    }
    return 0;
}

/* Each leaf needs the tables above it: count those that the leaf before did not need. */
static uint32_t model_tables(const struct model *in)
{
    uint64_t last[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    uint32_t count = 1;
    for (size_t i = 0; i < in->count; i++) {
        for (unsigned level = in->leaves[i].order / 9; level < 3; level++) {
            uint64_t table = in->leaves[i].guest >> (12 + 9 * (level + 1));
            count += table != last[level];
            last[level] = table;
        }
    }
    return count;
}

/* The processor's walk: the raw leaf entry and its level (0 a page table), or an entry of 0. Holds
 * each entry on the way to the SDM: a reference has bits 2:0 and an address, no other. */
static uint64_t raw_walk(const struct ept *ept, uint64_t guest, unsigned *level)
{
    uint64_t table = ept->root.value;
    for (*level = 3;; --*level) {
        const uint64_t *entries = phys_to_virt(HPA(table));
        uint64_t entry = entries[guest >> (12 + 9 * *level) & 0x1ff];
        if (entry == 0 || *level == 0 || (entry & 0x80))
            return entry;
        if ((entry & ~0x000ffffffffff000ull) != 7)
            abort();
        table = entry & 0x000ffffffffff000ull;
    }
}

#endif
