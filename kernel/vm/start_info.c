/* SPDX-License-Identifier: MIT */
/* The PVH start information, laid out in one page: structure, memory map, ACPI tables,
 * command line. */
#include "kernel/vm/start_info.h"

#include <linux/errno.h>
#include <string.h>

/* The Xen headers name these types and leave them to their environment. */
#include <xen/xen.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "kernel/vm/guest_acpi.h"
#include "kernel/vm/module_line.h"

#define MEMORY_MAP_VERSION 1 /* of hvm_start_info: the first with a memory map */
#define ENTRIES_MAX        4

struct head {
    struct hvm_start_info info;
    struct hvm_memmap_table_entry map[ENTRIES_MAX];
};

struct page { /* a layout only: as a variable it would be too large for the stack */
    struct head head;
    _Alignas(16) uint8_t acpi[GUEST_ACPI_SIZE(VM_VCPUS_MAX)];
    char command_line[VM_COMMAND_LINE_MAX];
};
_Static_assert(sizeof(struct page) <= PAGE_SIZE, "start information is one page");

static bool touches_image(const struct elf_image *image, uint64_t page)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        if (page < s->address.value + s->memory_size && s->address.value < page + PAGE_SIZE)
            return true;
    }
    return false;
}

static int find_page(const struct guest_memory *memory, const struct elf_image *image,
                     uint64_t *page)
{
    uint64_t at = PAGE_SIZE; /* page 0 is left to catch null pointers */
    for (; at + PAGE_SIZE <= guest_memory_low(memory); at += PAGE_SIZE) {
        if (!touches_image(image, at)) {
            *page = at;
            return 0;
        }
    }
    return -ENOSPC;
}

static uint32_t fill_map(struct hvm_memmap_table_entry map[ENTRIES_MAX],
                         const struct guest_memory *memory, uint64_t page)
{
    const struct {
        uint64_t start, end;
        uint32_t type;
    } ranges[ENTRIES_MAX] = {
        {0, page, XEN_HVM_MEMMAP_TYPE_RAM},
        {page, page + PAGE_SIZE, XEN_HVM_MEMMAP_TYPE_RESERVED},
        {page + PAGE_SIZE, guest_memory_low(memory), XEN_HVM_MEMMAP_TYPE_RAM},
        {GUEST_HOLE_END, GUEST_HOLE_END + guest_memory_high(memory), XEN_HVM_MEMMAP_TYPE_RAM},
    };
    uint32_t count = 0;
    for (unsigned i = 0; i < ENTRIES_MAX; i++) {
        if (ranges[i].start == ranges[i].end)
            continue;
        map[count].addr = ranges[i].start;
        map[count].size = ranges[i].end - ranges[i].start;
        map[count++].type = ranges[i].type;
    }
    return count;
}

static int write_head(struct guest_memory *memory, uint64_t page)
{
    struct head head = {0};
    head.info.magic = XEN_HVM_START_MAGIC_VALUE;
    head.info.version = MEMORY_MAP_VERSION;
    head.info.cmdline_paddr = page + offsetof(struct page, command_line);
    head.info.rsdp_paddr = page + offsetof(struct page, acpi);
    head.info.memmap_paddr = page + offsetof(struct page, head.map);
    head.info.memmap_entries = fill_map(head.map, memory, page);
    return guest_write(memory, GPA(page), &head, sizeof head);
}

static int write_acpi(struct guest_memory *memory, uint64_t address, uint32_t vcpus)
{
    uint8_t tables[GUEST_ACPI_SIZE(VM_VCPUS_MAX)];
    size_t size = guest_acpi_write(tables, sizeof tables, address, vcpus);

    return size ? guest_write(memory, GPA(address), tables, size) : -EINVAL;
}

int start_info_write(struct guest_memory *memory, const struct elf_image *image,
                     const char *command_line, uint32_t vcpus, gpa_t *address)
{
    uint64_t page;
    if (find_page(memory, image, &page))
        return -ENOSPC;
    *address = GPA(page);
    int error = write_head(memory, page);
    if (!error)
        error = write_acpi(memory, page + offsetof(struct page, acpi), vcpus);
    if (!error) /* RAM is zeroed: a NUL stands behind it */
        error = guest_write(memory, GPA(page + offsetof(struct page, command_line)), command_line,
                            strnlen(command_line, VM_COMMAND_LINE_MAX - 1));
    return error;
}
