/* SPDX-License-Identifier: MIT */
/* Segments, notes and the manifest of a Solo5 hvt image. */
#include "kernel/vm/hvt_image.h"

#include <linux/errno.h>
#include <string.h>

#define NOTE_NAME_SIZE   sizeof(HVT_NOTE_NAME) /* with its NUL */
#define NOTE_HEADER_SIZE 20u /* sizes and type, and the name, padded to 4 */
#define ABI_ALIGNMENT      4u
#define MANIFEST_ALIGNMENT 8u
#define MANIFEST_HEADER  offsetof(struct hvt_manifest, entry)
#define MANIFEST_PADDING \
    (ALIGN_UP(NOTE_HEADER_SIZE, MANIFEST_ALIGNMENT) - NOTE_HEADER_SIZE) /* counts as its content */

typedef unsigned long long ull; /* for %llx */

/* What is wanted of a note. */
struct note_kind {
    const char *name; /* for messages */
    uint32_t type;
    uint32_t alignment; /* of its content in the file, from its start on */
    uint32_t size_max;
};

static const struct note_kind abi_note = {
    "ABI1", HVT_NOTE_ABI, ABI_ALIGNMENT, sizeof(struct hvt_abi)};
static const struct note_kind manifest_note = {
    "MFT1", HVT_NOTE_MANIFEST, MANIFEST_ALIGNMENT,
    MANIFEST_PADDING + MANIFEST_HEADER + HVT_MANIFEST_MAX * sizeof(struct hvt_manifest_entry)};

/* ---- Segments -------------------------------------------------------------------------------- */

static int check_segment(const struct elf_file *file, unsigned index, const Elf64_Phdr *program,
                         uint64_t ram_size)
{
    ull address = program->p_vaddr, size = program->p_memsz, align = program->p_align;
    if (!elf_in_file(file, program->p_offset, program->p_filesz))
        return elf_refuse(file, "segment %u: 0x%llx bytes at 0x%llx lie outside the file of 0x%llx",
                          index, (ull)program->p_filesz, (ull)program->p_offset, (ull)file->size);
    if (program->p_filesz > program->p_memsz)
        return elf_refuse(file, "segment %u has 0x%llx bytes in the file, but 0x%llx in memory",
                          index, (ull)program->p_filesz, size);
    if (address < HVT_IMAGE_START)
        return elf_refuse(file, "segment %u at 0x%llx is below 0x%x, where images start", index,
                          address, HVT_IMAGE_START);
    if (align & (align - 1))
        return elf_refuse(file, "segment %u: alignment 0x%llx is no power of two", index, align);
    if (address > ram_size || size > ram_size - address || align > ram_size)
        return elf_refuse(file, "segment %u: 0x%llx bytes at 0x%llx, aligned to 0x%llx, lie "
                          "outside RAM of 0x%llx bytes", index, size, address, align,
                          (ull)ram_size);
    if ((program->p_flags & PF_W) && (program->p_flags & PF_X))
        return elf_refuse(file, "segment %u at 0x%llx is writable and executable", index, address);
    return 0;
}

/* Its pages, behind those of the segment before it. No sum wraps: all is at most twice the RAM. */
static int add_segment(const struct elf_file *file, unsigned index, const Elf64_Phdr *program,
                       uint64_t ram_size, struct hvt_image *image)
{
    uint64_t align = MAX(program->p_align, 1ull);
    uint64_t start = ALIGN_DOWN(program->p_vaddr, align);
    uint64_t end = ALIGN_UP(program->p_vaddr + program->p_memsz, align);
    if (start < HVT_IMAGE_START || end > ram_size)
        return elf_refuse(file, "segment %u: its pages from 0x%llx to 0x%llx are not within 0x%x "
                          "to 0x%llx", index, (ull)start, (ull)end, HVT_IMAGE_START,
                          (ull)ram_size);
    if (!IS_ALIGNED(start | end, PAGE_SIZE))
        return elf_refuse(file, "segment %u: 0x%llx to 0x%llx, aligned to 0x%llx, are no whole "
                          "pages", index, (ull)start, (ull)end, (ull)align);
    if (start < image->kernel_end)
        return elf_refuse(file, "segment %u at 0x%llx is not behind the one before it, which ends "
                          "at 0x%llx", index, (ull)start, (ull)image->kernel_end);
    if (image->segment_count == HVT_SEGMENTS_MAX)
        return elf_refuse(file, "segment %u: more than %u segments to load", index,
                          HVT_SEGMENTS_MAX);
    image->segments[image->segment_count++] = (struct hvt_segment){
        .start = start,
        .end = end,
        .address = GPA(program->p_vaddr),
        .file_offset = program->p_offset,
        .file_size = program->p_filesz,
        .readable = program->p_flags & PF_R,
        .writable = program->p_flags & PF_W,
        .executable = program->p_flags & PF_X,
    };
    image->kernel_end = end;
    return 0;
}

static int read_segments(const struct elf_file *file, const Elf64_Ehdr *header, uint64_t ram_size,
                         struct hvt_image *image)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr program = elf_program_header(file, header, i);
        if (program.p_type != PT_LOAD || program.p_filesz == 0)
            continue;
        int error = check_segment(file, i, &program, ram_size);
        if (error == 0)
            error = add_segment(file, i, &program, ram_size, image);
        if (error)
            return error;
    }
    if (image->segment_count == 0)
        return elf_refuse(file, "no segment to load");
    if (header->e_entry < HVT_IMAGE_START || header->e_entry >= ram_size)
        return elf_refuse(file, "entry 0x%llx is not within 0x%x to the end of RAM at 0x%llx",
                          (ull)header->e_entry, HVT_IMAGE_START, (ull)ram_size);
    image->entry = header->e_entry;
    return 0;
}

/* ---- Notes: each lies first in a PT_NOTE ----------------------------------------------------- */

static bool is_solo5_note(const struct elf_file *file, const Elf64_Phdr *program,
                          Elf64_Nhdr *note)
{
    if (program->p_type != PT_NOTE ||
        !elf_in_file(file, program->p_offset, sizeof *note + NOTE_NAME_SIZE))
        return false;
    memcpy(note, file->bytes + program->p_offset, sizeof *note);
    return note->n_namesz == NOTE_NAME_SIZE &&
           memcmp(file->bytes + program->p_offset + sizeof *note, HVT_NOTE_NAME,
                  NOTE_NAME_SIZE) == 0;
}

/* Where the content of a note is: a pointer and its size. */
static int check_note(const struct elf_file *file, const struct note_kind *kind,
                      const Elf64_Phdr *program, uint32_t size, const uint8_t **content,
                      uint32_t *content_size)
{
    uint32_t padding = (uint32_t)ALIGN_UP(NOTE_HEADER_SIZE, kind->alignment) - NOTE_HEADER_SIZE;
    if (size <= padding || size > kind->size_max)
        return elf_refuse(file, "%s note: note does not fall within valid size: 0x%x bytes, must "
                          "be 0x%x to 0x%x", kind->name, size, padding + 1, kind->size_max);
    if (program->p_filesz < NOTE_HEADER_SIZE + size ||
        !elf_in_file(file, program->p_offset, program->p_filesz))
        return elf_refuse(file, "%s note: note does not fall within valid size: 0x%x bytes in a "
                          "segment of 0x%llx at 0x%llx", kind->name, size,
                          (ull)program->p_filesz, (ull)program->p_offset);
    *content = file->bytes + program->p_offset + NOTE_HEADER_SIZE + padding;
    *content_size = size - padding;
    return 0;
}

static int find_note(const struct elf_file *file, const Elf64_Ehdr *header,
                     const struct note_kind *kind, const uint8_t **content, uint32_t *size)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr program = elf_program_header(file, header, i);
        Elf64_Nhdr note;
        if (program.p_type == PT_NOTE && program.p_filesz < sizeof note)
            return elf_refuse(file, "PT_NOTE %u has 0x%llx bytes, too few for a note", i,
                              (ull)program.p_filesz);
        if (is_solo5_note(file, &program, &note) && note.n_type == kind->type)
            return check_note(file, kind, &program, note.n_descsz, content, size);
    }
    return elf_refuse(file, "no %s note of Solo5's", kind->name);
}

static int check_abi(const struct elf_file *file, const Elf64_Ehdr *header)
{
    const uint8_t *content;
    uint32_t size;
    struct hvt_abi abi;
    int error = find_note(file, header, &abi_note, &content, &size);
    if (error)
        return error;
    if (size != sizeof abi)
        return elf_refuse(file, "ABI1 note has 0x%x bytes, must have 0x%zx", size, sizeof abi);
    memcpy(&abi, content, sizeof abi);
    if (abi.target != HVT_ABI_TARGET || abi.version != HVT_ABI_VERSION)
        return elf_refuse(file, "ABI1 note: target %u, version %u; must be %u (hvt), %u",
                          abi.target, abi.version, HVT_ABI_TARGET, HVT_ABI_VERSION);
    return 0;
}

/* ---- The manifest ---------------------------------------------------------------------------- */

static bool is_name_taken(const struct hvt_image *image, uint32_t index, const char *name)
{
    for (uint32_t i = 1; i < index; i++) {
        const uint8_t *other = image->manifest + i * sizeof(struct hvt_manifest_entry);
        if (strncmp((const char *)other, name, HVT_NAME_MAX) == 0)
            return true;
    }
    return false;
}

static int check_entry(const struct elf_file *file, const struct hvt_image *image, uint32_t index)
{
    struct hvt_manifest_entry entry = hvt_image_entry(image, index);
    if (entry.name[HVT_NAME_MAX - 1] != '\0')
        return elf_refuse(file, "manifest entry %u: its name has no NUL", index);
    if (entry.attached)
        return elf_refuse(file, "manifest entry %u is attached (%u) in the file", index,
                          entry.attached);
    if (index == 0 && (entry.type != HVT_DEVICE_RESERVED || entry.name[0]))
        return elf_refuse(file, "manifest entry 0 has type 0x%x and name \"%.16s\"; must be 0x%x "
                          "and none", entry.type, entry.name, HVT_DEVICE_RESERVED);
    if (index > 0 && entry.type != HVT_DEVICE_BLOCK && entry.type != HVT_DEVICE_NET)
        return elf_refuse(file, "manifest entry %u has the unknown type 0x%x", index, entry.type);
    if (index > 0 && (entry.name[0] == '\0' || is_name_taken(image, index, entry.name)))
        return elf_refuse(file, "manifest entry %u: the name \"%.32s\" is empty or taken", index,
                          entry.name);
    return 0;
}

static int read_manifest(const struct elf_file *file, const Elf64_Ehdr *header,
                         struct hvt_image *image)
{
    const uint8_t *content;
    uint32_t size;
    struct hvt_manifest manifest;
    int error = find_note(file, header, &manifest_note, &content, &size);
    if (error)
        return error;
    if (size < MANIFEST_HEADER)
        return elf_refuse(file, "manifest of 0x%x bytes has no header", size);
    memcpy(&manifest, content, MANIFEST_HEADER);
    if (manifest.version != HVT_MANIFEST_VERSION)
        return elf_refuse(file, "manifest version %u, must be %u", manifest.version,
                          HVT_MANIFEST_VERSION);
    if (manifest.entries == 0 || manifest.entries > HVT_MANIFEST_MAX)
        return elf_refuse(file, "manifest of %u entries, must have 1 to %u", manifest.entries,
                          HVT_MANIFEST_MAX);
    if (size != MANIFEST_HEADER + manifest.entries * sizeof(struct hvt_manifest_entry))
        return elf_refuse(file, "manifest of 0x%x bytes has %u entries, which take 0x%zx", size,
                          manifest.entries, MANIFEST_HEADER +
                          manifest.entries * sizeof(struct hvt_manifest_entry));
    image->entries = manifest.entries;
    image->manifest = content + MANIFEST_HEADER;
    for (uint32_t i = 0; i < image->entries && !error; i++)
        error = check_entry(file, image, i);
    return error;
}

struct hvt_manifest_entry hvt_image_entry(const struct hvt_image *image, uint32_t index)
{
    struct hvt_manifest_entry entry;
    memcpy(&entry, image->manifest + index * sizeof entry, sizeof entry);
    return entry;
}

/* ---- The image ------------------------------------------------------------------------------- */

bool hvt_image_is(const void *bytes, size_t size)
{
    char error[ELF_ERROR_MAX];
    const struct elf_file file = {bytes, size, error};
    Elf64_Ehdr header;
    Elf64_Nhdr note;
    if (elf_read_header(&file, &header))
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr program = elf_program_header(&file, &header, i);
        if (is_solo5_note(&file, &program, &note))
            return true;
    }
    return false;
}

int hvt_image_parse(const void *bytes, size_t size, uint64_t ram_size, struct hvt_image *image,
                    char error[ELF_ERROR_MAX])
{
    const struct elf_file file = {bytes, size, error};
    Elf64_Ehdr header;
    *image = (struct hvt_image){0};
    error[0] = '\0';
    int status = elf_read_header(&file, &header);
    if (status == 0)
        status = check_abi(&file, &header);
    if (status == 0)
        status = read_segments(&file, &header, ram_size, image);
    if (status == 0)
        status = read_manifest(&file, &header, image);
    return status;
}
