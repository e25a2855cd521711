/* SPDX-License-Identifier: MIT */
/* Any bytes as the image of a Solo5 hvt guest with 4 MiB of RAM: what is accepted obeys every rule
 * of Solo5's loader, and can be used without looking again; what is refused is so in words. */
#include "tests/fuzz/elf_input.h"

#include "kernel/vm/hvt_image.h"

#define RAM_SIZE (4 * MIB)

/* The `number`-th program header that has bytes to load. */
static Elf64_Phdr loaded(const struct image_file *file, unsigned number)
{
    for (unsigned i = 0; i < file->header.e_phnum; i++) {
        Elf64_Phdr program = program_at(file, i);
        if (program.p_type == PT_LOAD && program.p_filesz > 0 && number-- == 0)
            return program;
    }
    require(false, "a segment that is in no program header");
    return (Elf64_Phdr){0};
}

static void check_segments(const struct image_file *file, const struct hvt_image *image)
{
    uint64_t end = HVT_IMAGE_START;

    require(image->segment_count >= 1 && image->segment_count <= HVT_SEGMENTS_MAX, "segments");
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct hvt_segment *segment = &image->segments[i];
        Elf64_Phdr program = loaded(file, i);
        uint64_t address = segment->address.value, size = segment->file_size;

        require(address == program.p_vaddr && size == program.p_filesz &&
                    segment->file_offset == program.p_offset,
                "a segment that is not the program header's");
        require(segment->start >= end && segment->end > segment->start, "the order of segments");
        require(segment->end <= RAM_SIZE, "a segment outside RAM");
        require(segment->start % PAGE_SIZE == 0 && segment->end % PAGE_SIZE == 0, "whole pages");
        require(address >= segment->start && size <= segment->end - address, "bytes beside pages");
        require(program.p_memsz >= size && program.p_memsz <= segment->end - address, "memory");
        require(segment->file_offset <= file->size && size <= file->size - segment->file_offset,
                "bytes outside the file");
        require(!segment->writable || !segment->executable, "writable and executable");
        require(segment->readable == !!(program.p_flags & PF_R) &&
                    segment->writable == !!(program.p_flags & PF_W) &&
                    segment->executable == !!(program.p_flags & PF_X),
                "other rights");
        end = segment->end;
    }
    require(image->kernel_end == end, "kernel_end");
    require(image->entry == file->header.e_entry && image->entry >= HVT_IMAGE_START &&
                image->entry < RAM_SIZE,
            "the entry");
}

/* The first note of that type: its first four words, behind `padding` bytes. */
static void read_note(const struct image_file *file, uint32_t type, size_t padding,
                      uint32_t words[4])
{
    for (unsigned i = 0; i < file->header.e_phnum; i++) {
        Elf64_Phdr program = program_at(file, i);
        uint32_t head[3];

        if (program.p_type != PT_NOTE || program.p_filesz < 20 || program.p_offset > file->size ||
            program.p_filesz > file->size - program.p_offset)
            continue;
        const uint8_t *note = file->bytes + program.p_offset;
        memcpy(head, note, sizeof(head));
        if (head[0] != 6 || head[2] != type || memcmp(note + 12, "Solo5", 6) != 0)
            continue;
        require(head[1] >= 4 + padding && program.p_filesz >= 20 + (uint64_t)head[1], "note size");
        memcpy(words, note + 20 + padding, MIN(head[1] - padding, 4 * sizeof(*words)));
        return;
    }
    require(false, "accepted without a note");
}

static void check_notes(const struct image_file *file, const struct hvt_image *image)
{
    uint32_t words[4] = {0};

    read_note(file, HVT_NOTE_ABI, 0, words);
    require(words[0] == HVT_ABI_TARGET && words[1] == HVT_ABI_VERSION, "another ABI");
    read_note(file, HVT_NOTE_MANIFEST, 4, words);
    require(words[0] == HVT_MANIFEST_VERSION && words[1] == image->entries, "another manifest");
}

static void check_manifest(const struct image_file *file, const struct hvt_image *image)
{
    const uint8_t *end = file->bytes + file->size;

    require(image->entries >= 1 && image->entries <= HVT_MANIFEST_MAX, "entries");
    require(image->manifest >= file->bytes && image->manifest <= end &&
                image->entries * sizeof(struct hvt_manifest_entry) <=
                    (size_t)(end - image->manifest),
            "a manifest outside the file");
    for (uint32_t i = 0; i < image->entries; i++) {
        struct hvt_manifest_entry entry = hvt_image_entry(image, i);
        require(memchr(entry.name, '\0', sizeof(entry.name)), "a name without its NUL");
        require(!entry.attached, "attached in the file");
        if (i == 0) {
            require(entry.type == HVT_DEVICE_RESERVED && !entry.name[0], "entry 0");
            continue;
        }
        require(entry.type == HVT_DEVICE_BLOCK || entry.type == HVT_DEVICE_NET, "a type");
        require(entry.name[0], "an empty name");
        for (uint32_t j = 1; j < i; j++) {
            struct hvt_manifest_entry other = hvt_image_entry(image, j);
            require(strcmp(entry.name, other.name) != 0, "two devices of one name");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_file file = {.size = size};
    struct hvt_image image;
    char error[ELF_ERROR_MAX];
    uint8_t *bytes = exact_copy(data, size);

    memset(error, 'x', sizeof(error));
    file.bytes = bytes;
    int result = hvt_image_parse(bytes, size, RAM_SIZE, &image, error);
    require(memchr(error, '\0', sizeof(error)), "an error without an end");
    require((result == 0) == (error[0] == '\0'), "an error without words, or words without one");
    if (result == 0) {
        require(hvt_image_is(bytes, size), "accepted, though it is no such image");
        memcpy(&file.header, bytes, sizeof(file.header));
        check_segments(&file, &image);
        check_notes(&file, &image);
        check_manifest(&file, &image);
    }
    free(bytes);
    return 0;
}
