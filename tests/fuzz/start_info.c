/* SPDX-License-Identifier: MIT */
/* Any RAM, image and command line: the start information is one page that the image leaves free,
 * its parts lie in it without touching, all of RAM is in the map once, and the command line and
 * the ACPI tables are read back. An input is sizes, up to four segments, and the command line. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>
#include <xen/xen.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "kernel/acpi.h"
#include "kernel/vm/guest_acpi.h"
#include "kernel/vm/module_line.h"
#include "kernel/vm/start_info.h"

#define SEGMENTS_MAX 4

static struct {
    uint64_t low, high;
    uint64_t at; /* the page that is written */
    uint8_t page[PAGE_SIZE];
    bool touched[PAGE_SIZE];
} guest;

uint64_t guest_memory_low(const struct guest_memory *memory)
{
    (void)memory;
    return guest.low;
}

uint64_t guest_memory_high(const struct guest_memory *memory)
{
    (void)memory;
    return guest.high;
}

int guest_write(struct guest_memory *memory, gpa_t to, const void *from, uint64_t length)
{
    (void)memory;
    if (guest.at == 0)
        guest.at = to.value & ~PAGE_MASK;
    uint64_t offset = to.value - guest.at;
    require(to.value >= guest.at && offset <= PAGE_SIZE && length <= PAGE_SIZE - offset,
            "a byte outside the page");
    for (uint64_t i = 0; i < length; i++) {
        require(!guest.touched[offset + i], "two things in one place");
        guest.touched[offset + i] = true;
        guest.page[offset + i] = ((const uint8_t *)from)[i];
    }
    return 0;
}

static const void *map(hpa_t address, size_t size)
{
    uint64_t offset = address.value - guest.at;

    if (address.value < guest.at || offset > PAGE_SIZE || size > PAGE_SIZE - offset)
        return NULL;
    return guest.page + offset;
}

static struct elf_image take_image(struct input *input)
{
    struct elf_image image = {.segment_count = (uint32_t)draw(input, 1) % (SEGMENTS_MAX + 1)};

    for (uint32_t i = 0; i < image.segment_count; i++) {
        image.segments[i].address = GPA(draw(input, 3));
        image.segments[i].memory_size = draw(input, 3);
    }
    return image;
}

static bool is_free(const struct elf_image *image, uint64_t page)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        uint64_t start = image->segments[i].address.value;
        if (start < page + PAGE_SIZE && page < start + image->segments[i].memory_size)
            return false;
    }
    return true;
}

/* The lowest free page but page 0; 0: none. */
static uint64_t lowest_free(const struct elf_image *image)
{
    for (uint64_t page = PAGE_SIZE; page < guest.low; page += PAGE_SIZE) {
        if (is_free(image, page))
            return page;
    }
    return 0;
}

static void check_map(const struct hvm_start_info *info)
{
    uint64_t ram = 0, end = 0;

    for (uint32_t i = 0; i < info->memmap_entries; i++) {
        struct hvm_memmap_table_entry entry;
        const void *at = map(HPA(info->memmap_paddr + i * sizeof(entry)), sizeof(entry));
        require(at, "a map outside the page");
        memcpy(&entry, at, sizeof(entry));
        require(entry.addr >= end && entry.size > 0, "the order of the map");
        end = entry.addr + entry.size;
        require(end <= guest.low || (entry.addr >= GUEST_HOLE_END &&
                                     end <= GUEST_HOLE_END + guest.high),
                "a range outside RAM");
        bool reserved = entry.type != XEN_HVM_MEMMAP_TYPE_RAM;
        require(reserved ? entry.addr == guest.at && entry.size == PAGE_SIZE
                         : end <= guest.at || entry.addr >= guest.at + PAGE_SIZE,
                "the page itself in the map");
        ram += entry.size;
    }
    require(ram == guest.low + guest.high, "RAM that is not in the map");
}

static void check_page(uint32_t vcpus, const char *command_line)
{
    static struct acpi_info acpi;
    char error[ACPI_ERROR_MAX];
    struct hvm_start_info info;

    memcpy(&info, guest.page, sizeof(info));
    require(info.magic == XEN_HVM_START_MAGIC_VALUE && info.version == 1, "no start information");
    check_map(&info);
    const char *line = map(HPA(info.cmdline_paddr), strlen(command_line) + 1);
    require(line && strcmp(line, command_line) == 0, "another command line");
    const void *rsdp = map(HPA(info.rsdp_paddr), GUEST_ACPI_SIZE(vcpus));
    require(rsdp && acpi_parse(rsdp, GUEST_ACPI_SIZE(vcpus), map, &acpi, error) == 0, "no ACPI");
    require(acpi.cpu_count == vcpus, "another number of processors");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct guest_memory memory; /* the functions above stand for it */
    gpa_t address;

    memset(&guest, 0, sizeof(guest));
    guest.low = (1 + draw(&input, 2) % 4096) * PAGE_SIZE;
    guest.high = draw(&input, 1) * PAGE_SIZE;
    uint32_t vcpus = 1 + (uint32_t)draw(&input, 1) % (VM_VCPUS_MAX + 2);
    struct elf_image image = take_image(&input);
    char *command_line = string_copy(input.bytes, MIN(input.left, VM_COMMAND_LINE_MAX - 1u));

    int result = start_info_write(&memory, &image, command_line, vcpus, &address);
    uint64_t page = lowest_free(&image);
    if (page == 0)
        require(result == -ENOSPC && guest.at == 0, "a page that is not free");
    else if (vcpus > VM_VCPUS_MAX)
        require(result == -EINVAL, "more processors than may be");
    else {
        require(result == 0 && address.value == page && guest.at == page, "another page");
        check_page(vcpus, command_line);
    }
    free(command_line);
    return 0;
}
