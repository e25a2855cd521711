/* SPDX-License-Identifier: MIT */
/* Any bytes as ACPI tables: nothing is read that was not granted, and what is found obeys the rules
 * of its kind. An input is flags, then blocks of memory: address (4), size (2), bytes. The first
 * block is the boot loader's RSDP unless the flags say that there is none. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "kernel/acpi.h"
#include "kernel/lib/unaligned.h"

#define BLOCKS_MAX   16
#define TABLE_HEADER 36
#define MAPS_MAX     4096 /* calls of map() for an input of this size */

enum flags { KEEP_SUMS = 1, SEARCH_RSDP = 2 };

static struct block {
    uint64_t address;
    size_t size;
    uint8_t *bytes;
} blocks[BLOCKS_MAX];
static size_t block_count;
static unsigned maps;

static const void *map(hpa_t address, size_t size)
{
    require(++maps <= MAPS_MAX, "work without an end");
    for (size_t i = 0; i < block_count; i++) {
        const struct block *block = &blocks[i];
        uint64_t offset = address.value - block->address;
        if (address.value < block->address || offset > block->size || size > block->size - offset)
            continue;
        return block->bytes + offset;
    }
    return NULL;
}

static void set_sum(uint8_t *bytes, size_t size, size_t at)
{
    uint8_t sum = 0;

    bytes[at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[at] = (uint8_t)-sum;
}

/* Most inputs get the right sums: no byte by chance would be one. */
static void sum_up(const struct block *block)
{
    uint8_t *bytes = block->bytes;

    if (block->size >= 20 && memcmp(bytes, "RSD PTR ", 8) == 0) {
        set_sum(bytes, 20, 8);
        if (block->size >= 36 && load_u32(bytes + 20) >= 36 && load_u32(bytes + 20) <= block->size)
            set_sum(bytes, load_u32(bytes + 20), 32);
    } else if (block->size >= TABLE_HEADER && load_u32(bytes + 4) >= TABLE_HEADER &&
               load_u32(bytes + 4) <= block->size) {
        set_sum(bytes, load_u32(bytes + 4), 9);
    }
}

static void take_blocks(struct input *input, bool keep_sums)
{
    block_count = 0;
    while (input->left > 6 && block_count < BLOCKS_MAX) {
        struct block *block = &blocks[block_count++];
        block->address = draw(input, 4);
        size_t size = draw(input, 2);
        block->size = size < input->left ? size : input->left;
        block->bytes = exact_copy(input->bytes, block->size);
        input->bytes += block->size;
        input->left -= block->size;
        if (!keep_sums)
            sum_up(block);
    }
}

static void check_info(const struct acpi_info *info)
{
    require(info->cpu_count >= 1 && info->cpu_count <= ACPI_CPUS_MAX, "processors");
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        require(info->apic_ids[i] != UINT32_MAX, "a processor with the broadcast id");
        for (uint32_t j = 0; j < i; j++)
            require(info->apic_ids[i] != info->apic_ids[j], "a processor twice");
    }
    require_line(info->oem_id, sizeof(info->oem_id));
    require(info->pm_timer_port <= 0xffff && info->pm1a_control_port <= 0xffff &&
                info->pm1b_control_port <= 0xffff && info->reset_port <= 0xffff,
            "a port beyond 65535");
    require(info->has_reset_register == (info->reset_port != 0), "the reset register");
    require(info->s5_sleep_type_a <= 7 && info->s5_sleep_type_b <= 7, "a sleep type");
    require(!info->pm_timer_32bit || info->pm_timer_port, "the width of no timer");
    require(info->has_fadt || (!info->has_s5 && !info->has_reset_register && !info->pm_timer_port &&
                               !info->pm1a_control_port && !info->i8042_absent),
            "what only a FADT says");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct acpi_info info;
    struct input input = {data, size};
    char error[ACPI_ERROR_MAX];
    uint8_t flags = (uint8_t)draw(&input, 1);

    maps = 0;
    memset(error, 'x', sizeof(error));
    take_blocks(&input, flags & KEEP_SUMS);
    const struct block *rsdp = flags & SEARCH_RSDP || block_count == 0 ? NULL : &blocks[0];
    int result =
        acpi_parse(rsdp ? rsdp->bytes : NULL, rsdp ? rsdp->size : 0, map, &info, error);
    require(result == 0 || result == -EINVAL || result == -ENOENT, "a result of its own");
    require(memchr(error, '\0', sizeof(error)), "an error without an end");
    require((result == 0) == (error[0] == '\0'), "an error without words, or words without one");
    if (result == 0)
        check_info(&info);
    while (block_count > 0)
        free(blocks[--block_count].bytes);
    return 0;
}
