/* SPDX-License-Identifier: MIT */
/* Guest images: ELF-64 (System V ABI, chapters 4 and 5) with a PVH entry note (Xen's
 * docs/misc/pvh.pandoc, <xen/elfnote.h>). */
#include "kernel/vm/elf_image.h"

#include <linux/errno.h>
#include <string.h>
#include <xen/elfnote.h>

#define XEN_NOTE_NAME "Xen" /* with its NUL */
#define ENTRY_LIMIT   (1ull << 32)

typedef unsigned long long ull; /* for %llx */

struct reader {
    struct elf_file file;
    uint64_t ram_size;
};

#define REFUSE(reader, ...) elf_refuse(&(reader)->file, __VA_ARGS__)

static uint64_t end_of(const struct elf_segment *segment)
{
    return segment->address.value + segment->memory_size;
}

/* The rules for one PT_LOAD by itself. */
static int check_segment(const struct reader *file, unsigned index, const Elf64_Phdr *program)
{
    const uint32_t write_execute = PF_W | PF_X;
    if (program->p_filesz > program->p_memsz)
        return REFUSE(file, "segment %u has 0x%llx bytes in the file, but 0x%llx in memory", index,
                      (ull)program->p_filesz, (ull)program->p_memsz);
    if (program->p_memsz == 0)
        return 0;
    if (program->p_filesz > 0 && !elf_in_file(&file->file, program->p_offset, program->p_filesz))
        return REFUSE(file, "segment %u: 0x%llx bytes at 0x%llx lie outside the file of 0x%llx",
                      index, (ull)program->p_filesz, (ull)program->p_offset, (ull)file->file.size);
    if (program->p_paddr > file->ram_size || program->p_memsz > file->ram_size - program->p_paddr)
        return REFUSE(file, "segment %u: 0x%llx bytes at 0x%llx lie outside RAM of 0x%llx bytes",
                      index, (ull)program->p_memsz, (ull)program->p_paddr, (ull)file->ram_size);
    if ((program->p_flags & write_execute) == write_execute)
        return REFUSE(file, "segment %u at 0x%llx is writable and executable", index,
                      (ull)program->p_paddr);
    return 0;
}

/* Puts a segment where it belongs in ascending order. */
static void insert_segment(struct elf_image *image, const Elf64_Phdr *program)
{
    uint32_t at = image->segment_count++;
    for (; at > 0 && image->segments[at - 1].address.value > program->p_paddr; at--)
        image->segments[at] = image->segments[at - 1];
    image->segments[at] = (struct elf_segment){
        .address = GPA(program->p_paddr),
        /* where nothing is to be copied, the offset in the header may be anything */
        .file_offset = program->p_filesz > 0 ? program->p_offset : 0,
        .file_size = program->p_filesz,
        .memory_size = program->p_memsz,
        .writable = program->p_flags & PF_W,
        .executable = program->p_flags & PF_X,
    };
}

static int read_segments(const struct reader *file, const Elf64_Ehdr *header,
                         struct elf_image *image)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr program = elf_program_header(&file->file, header, i);
        if (program.p_type != PT_LOAD)
            continue;
        int error = check_segment(file, i, &program);
        if (error != 0)
            return error;
        if (program.p_memsz == 0)
            continue;
        if (image->segment_count == ELF_SEGMENTS_MAX)
            return REFUSE(file, "segment %u: more than %u segments to load", i, ELF_SEGMENTS_MAX);
        insert_segment(image, &program);
    }
    return 0;
}

/* The rules between segments, which are in ascending order. Rights hold for whole pages: what is
 * writable and what is executable may not meet in one. */
static int check_neighbours(const struct reader *file, const struct elf_image *image)
{
    uint64_t writable_end = 0, executable_end = 0; /* the first page number behind them */
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        const ull start = segment->address.value;
        if (i > 0 && start < end_of(&image->segments[i - 1]))
            return REFUSE(file, "segments at 0x%llx and 0x%llx overlap",
                          (ull)image->segments[i - 1].address.value, start);
        const uint64_t page = start / PAGE_SIZE;
        if ((segment->writable && page < executable_end) ||
            (segment->executable && page < writable_end))
            return REFUSE(file, "page 0x%llx would be writable and executable", start & ~PAGE_MASK);
        const uint64_t page_end = (end_of(segment) - 1) / PAGE_SIZE + 1;
        if (segment->writable)
            writable_end = page_end;
        if (segment->executable)
            executable_end = page_end;
    }
    return 0;
}

/* One note: where its parts lie, as offsets in the file. */
struct note {
    Elf64_Nhdr header;
    uint64_t name, description, next;
};

/* Reads the note at `offset` of a segment that ends at `end` and lies in the file. */
static int read_note(const struct reader *file, uint64_t offset, uint64_t end, uint64_t alignment,
                     struct note *note)
{
    memcpy(&note->header, file->file.bytes + offset, sizeof(note->header));
    /* No sum wraps: offsets are below the file's size, sizes are of 32 bits. */
    note->name = offset + sizeof(note->header);
    uint64_t name_size = note->header.n_namesz, description_size = note->header.n_descsz;
    note->description = offset + ALIGN_UP(sizeof(note->header) + name_size, alignment);
    note->next = note->description + ALIGN_UP(description_size, alignment);
    if (note->description + description_size > end) /* the name ends before the description */
        return REFUSE(file, "note at 0x%llx reaches beyond its segment's end at 0x%llx",
                      (ull)offset, (ull)end);
    return 0;
}

static bool is_entry_note(const struct reader *file, const struct note *note)
{
    return note->header.n_type == XEN_ELFNOTE_PHYS32_ENTRY &&
           note->header.n_namesz == sizeof(XEN_NOTE_NAME) &&
           memcmp(file->file.bytes + note->name, XEN_NOTE_NAME, sizeof(XEN_NOTE_NAME)) == 0;
}

static int read_entry(const struct reader *file, const struct note *note, uint64_t *entry)
{
    uint32_t size = note->header.n_descsz;
    if (size != sizeof(uint32_t) && size != sizeof(uint64_t))
        return REFUSE(file, "PHYS32_ENTRY note has 0x%x bytes, must have 4 or 8", size);
    *entry = 0;
    memcpy(entry, file->file.bytes + note->description, size); /* little-endian, as is the file */
    if (*entry >= ENTRY_LIMIT)
        return REFUSE(file, "entry 0x%llx of the PHYS32_ENTRY note is beyond 32 bits", (ull)*entry);
    return 0;
}

/* Looks for the entry in one PT_NOTE: 1 when found, 0 when not, or the error. */
static int search_notes(const struct reader *file, unsigned index, const Elf64_Phdr *program,
                        uint64_t *entry)
{
    if (!elf_in_file(&file->file, program->p_offset, program->p_filesz))
        return REFUSE(file, "notes %u: 0x%llx bytes at 0x%llx lie outside the file of 0x%llx",
                      index, (ull)program->p_filesz, (ull)program->p_offset, (ull)file->file.size);

    /* The gABI aligns to 8 in 64-bit files, the tools to 4 unless the header says 8. */
    uint64_t alignment = program->p_align == 8 ? 8 : 4;
    uint64_t end = program->p_offset + program->p_filesz;
    struct note note;
    for (uint64_t at = program->p_offset; at < end && end - at >= sizeof(note.header);
         at = note.next) {
        int error = read_note(file, at, end, alignment, &note);
        if (error != 0)
            return error;
        if (!is_entry_note(file, &note))
            continue;
        error = read_entry(file, &note, entry);
        return error != 0 ? error : 1;
    }
    return 0;
}

static bool is_executable(const struct elf_image *image, uint64_t address)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if (address >= segment->address.value && address < end_of(segment))
            return segment->executable;
    }
    return false;
}

/* The first PHYS32_ENTRY note counts. */
static int find_entry(const struct reader *file, const Elf64_Ehdr *header, struct elf_image *image)
{
    uint64_t entry = 0;
    int found = 0;
    for (unsigned i = 0; i < header->e_phnum && found == 0; i++) {
        Elf64_Phdr program = elf_program_header(&file->file, header, i);
        if (program.p_type == PT_NOTE)
            found = search_notes(file, i, &program, &entry);
    }
    if (found < 0)
        return found;
    if (found == 0)
        return REFUSE(file, "no PVH entry: no PT_NOTE has a Xen note of type %u (PHYS32_ENTRY)",
                      XEN_ELFNOTE_PHYS32_ENTRY);
    if (!is_executable(image, entry))
        return REFUSE(file, "entry 0x%llx lies in no executable segment", (ull)entry);
    image->entry = GPA(entry);
    return 0;
}

int elf_image_parse(const void *file, size_t file_size, uint64_t ram_size, struct elf_image *image,
                    char error[ELF_ERROR_MAX])
{
    const struct reader reader = {{file, file_size, error}, ram_size};
    Elf64_Ehdr header;

    *image = (struct elf_image){0};
    error[0] = '\0';
    int result = elf_read_header(&reader.file, &header);
    if (result == 0)
        result = read_segments(&reader, &header, image);
    if (result == 0)
        result = check_neighbours(&reader, image);
    if (result == 0)
        result = find_entry(&reader, &header, image);
    return result;
}
