/* SPDX-License-Identifier: MIT */
/* Any memory maps, sixteen pages at either end of the address space and what lies between: the
 * usable ranges are those of a model that looks at every byte. An entry is six bytes: what it is,
 * and where it starts and ends. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "kernel/mm/memory_map.h"

#define EDGE        (16 * PAGE_SIZE)        /* bytes at either end that the model has one by one */
#define HIGH        (UINT64_MAX - EDGE + 1) /* where the upper ones begin */
#define BYTES       (2 * EDGE + 1)          /* with one for all that lies between */
#define ENTRIES_MAX 24
#define USABLE_MAX  64

enum entry_bits { RESERVED = 1, START_HIGH = 2, END_HIGH = 4 }; /* above them, the type */

static uint8_t available[BYTES], taken[BYTES];

static uint64_t address_of(size_t byte)
{
    return byte <= EDGE ? byte : HIGH + (byte - EDGE - 1);
}

static uint64_t take_address(struct input *input, bool high)
{
    return draw(input, 2) + (high ? HIGH : 0);
}

static size_t byte_of(uint64_t address)
{
    return address <= EDGE ? address : address - HIGH + EDGE + 1;
}

/* [start, end) of the model; one whose end is below its start reaches to the end of all. */
static void mark(uint8_t *bytes, struct boot_range range)
{
    size_t first = byte_of(range.start);
    size_t behind = range.end < range.start ? BYTES - 1 : byte_of(range.end);

    memset(bytes + first, 1, behind - first);
}

static bool is_usable(size_t first, size_t count)
{
    return !memchr(available + first, 0, count) && !memchr(taken + first, 1, count);
}

/* The pages of the model, and what lies between as one, in ranges; returns how many. */
static size_t model_usable(struct boot_range *ranges)
{
    size_t count = 0;

    for (size_t i = 0; i < BYTES; i += i == EDGE ? 1 : PAGE_SIZE) {
        size_t length = i == EDGE ? 1 : PAGE_SIZE;
        uint64_t start = address_of(i), end = i + length < BYTES ? address_of(i + length) : 0;
        if (end == 0 || !is_usable(i, length)) /* the last page has no end in 64 bits */
            continue;
        if (count > 0 && ranges[count - 1].end == start)
            ranges[count - 1].end = end;
        else
            ranges[count++] = (struct boot_range){start, end};
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct boot_memory memory[ENTRIES_MAX];
    struct boot_range reserved[ENTRIES_MAX], usable[USABLE_MAX], wanted[USABLE_MAX];
    size_t memory_count = 0, reserved_count = 0;

    memset(available, 0, sizeof(available));
    memset(taken, 0, sizeof(taken));
    while (input.left > 0 && memory_count + reserved_count < ENTRIES_MAX) {
        uint8_t bits = (uint8_t)draw(&input, 1);
        struct boot_range range = {.start = take_address(&input, bits & START_HIGH)};
        range.end = take_address(&input, bits & END_HIGH);
        uint32_t type = (uint32_t)bits >> 3;
        if (bits & RESERVED)
            reserved[reserved_count++] = range;
        else
            memory[memory_count++] = (struct boot_memory){range, type};
        mark(!(bits & RESERVED) && type == BOOT_MEMORY_AVAILABLE ? available : taken, range);
    }

    size_t wanted_count = model_usable(wanted);
    int count =
        memory_map_usable(memory, memory_count, reserved, reserved_count, usable, USABLE_MAX);
    require(count == (int)wanted_count, "another number of ranges");
    for (size_t i = 0; i < wanted_count; i++)
        require(usable[i].start == wanted[i].start && usable[i].end == wanted[i].end,
                "another range");
    if (wanted_count > 0)
        require(memory_map_usable(memory, memory_count, reserved, reserved_count, usable,
                                  wanted_count - 1) == -E2BIG,
                "more ranges than there is room for");
    return 0;
}
