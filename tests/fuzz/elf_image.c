/* SPDX-License-Identifier: MIT */
/* Any bytes as the image of a guest with 4 MiB of RAM: what is accepted can be copied without
 * looking again, is what the program headers say, and begins where its note says. */
#define _GNU_SOURCE
#include "tests/fuzz/elf_input.h"

#include <linux/errno.h>
#include <xen/elfnote.h>

#include "kernel/vm/elf_image.h"

#define RAM_SIZE (4 * MIB)

static void check_segments(const struct image_file *file, const struct elf_image *image)
{
    uint64_t end = 0;

    require(image->segment_count >= 1 && image->segment_count <= ELF_SEGMENTS_MAX, "segments");
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        uint64_t start = segment->address.value;
        require(segment->memory_size > 0 && start >= end, "the order of segments");
        require(start <= RAM_SIZE && segment->memory_size <= RAM_SIZE - start,
                "a segment outside RAM");
        require(segment->file_size <= segment->memory_size, "more bytes than memory");
        require(segment->file_offset <= file->size &&
                    segment->file_size <= file->size - segment->file_offset,
                "bytes outside the file");
        require(!segment->writable || !segment->executable, "writable and executable");
        end = start + segment->memory_size;
    }
}

/* No page is both. */
static void check_pages(const struct elf_image *image)
{
    static uint8_t writable[RAM_SIZE / PAGE_SIZE], executable[RAM_SIZE / PAGE_SIZE];

    memset(writable, 0, sizeof(writable));
    memset(executable, 0, sizeof(executable));
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        uint64_t first = segment->address.value / PAGE_SIZE;
        uint64_t last = (segment->address.value + segment->memory_size - 1) / PAGE_SIZE;
        memset(writable + first, 1, segment->writable ? last - first + 1 : 0);
        memset(executable + first, 1, segment->executable ? last - first + 1 : 0);
    }
    for (size_t page = 0; page < ARRAY_SIZE(writable); page++)
        require(!writable[page] || !executable[page], "a page writable and executable");
}

/* Each segment with memory is there, with the header's rights. */
static void check_programs(const struct image_file *file, const struct elf_image *image)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < file->header.e_phnum; i++) {
        Elf64_Phdr program = program_at(file, i);
        bool found = false;
        if (program.p_type != PT_LOAD || program.p_memsz == 0)
            continue;
        count++;
        for (uint32_t s = 0; s < image->segment_count; s++) {
            const struct elf_segment *segment = &image->segments[s];
            found |= segment->address.value == program.p_paddr &&
                     segment->memory_size == program.p_memsz &&
                     segment->file_size == program.p_filesz &&
                     (program.p_filesz == 0 || segment->file_offset == program.p_offset) &&
                     segment->writable == !!(program.p_flags & PF_W) &&
                     segment->executable == !!(program.p_flags & PF_X);
        }
        require(found, "a segment that is not the program header's");
    }
    require(count == image->segment_count, "other segments");
}

static void check_entry(const struct image_file *file, const struct elf_image *image)
{
    static const uint8_t name[] = {XEN_ELFNOTE_PHYS32_ENTRY, 0, 0, 0, 'X', 'e', 'n'};
    uint64_t entry = image->entry.value;
    bool executable = false, noted = false;

    require(entry <= UINT32_MAX, "an entry beyond 32 bits");
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        executable |= segment->executable && entry >= segment->address.value &&
                      entry - segment->address.value < segment->memory_size;
    }
    require(executable, "an entry in no executable segment");
    /* Wherever the notes lie: somewhere stands one with this entry. */
    for (size_t at = 8; at + 12 <= file->size && !noted; at++)
        noted = memcmp(file->bytes + at, name, sizeof(name)) == 0 &&
                memmem(file->bytes + at, MIN((size_t)20, file->size - at), &entry, 4);
    require(noted, "an entry of no note");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    uint8_t *bytes = exact_copy(data, size);
    struct image_file file = {.bytes = bytes, .size = size};

    memset(error, 'x', sizeof(error));
    int result = elf_image_parse(bytes, size, RAM_SIZE, &image, error);
    require(result == 0 || result == -EINVAL || result == -ENOEXEC, "a result of its own");
    require_line(error, sizeof(error));
    require((result == 0) == (error[0] == '\0'), "an error without words, or words without one");
    if (result == 0) {
        memcpy(&file.header, bytes, sizeof(file.header));
        check_segments(&file, &image);
        check_pages(&image);
        check_programs(&file, &image);
        check_entry(&file, &image);
    }
    free(bytes);
    return 0;
}
