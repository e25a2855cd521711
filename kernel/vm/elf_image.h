/* SPDX-License-Identifier: MIT */
/* Guest images: 64-bit ELF executables with a PVH entry (Xen's docs/misc/pvh.pandoc: the note
 * XEN_ELFNOTE_PHYS32_ENTRY). The file is hostile: it is checked completely before a byte of the
 * guest is written. Pure: runs on the host in tests. */
#ifndef KERNEL_VM_ELF_IMAGE_H
#define KERNEL_VM_ELF_IMAGE_H

#include "kernel/vm/elf_file.h"

#define ELF_SEGMENTS_MAX 16

struct elf_segment {
    gpa_t address;        /* p_paddr */
    uint64_t file_offset; /* of the bytes to copy */
    uint64_t file_size;
    uint64_t memory_size; /* the rest is zero */
    bool writable, executable;
};

struct elf_image {
    uint32_t segment_count; /* PT_LOAD with memory_size > 0, ascending by address, disjoint */
    struct elf_segment segments[ELF_SEGMENTS_MAX];
    gpa_t entry;            /* of the PVH note: 32-bit, inside an executable segment */
};

/* Reads the headers of `file` for a guest whose RAM is [0, ram_size). Refused, with one line in
 * `error` that names the rule and the offending number: not ELF64/x86-64/ET_EXEC, headers or notes
 * outside the file, more than 64 program headers, filesz > memsz, a segment outside RAM or that
 * wraps, more segments than ELF_SEGMENTS_MAX, overlapping segments, a segment writable and
 * executable, or a page that two segments would make so, no PHYS32_ENTRY note, an entry outside
 * executable segments. Where file_size is 0, file_offset is 0. `error` is "" on success.
 * Returns 0 or -EINVAL (-ENOEXEC: not an ELF file at all). */
MUST_CHECK int elf_image_parse(const void *file, size_t file_size, uint64_t ram_size,
                               struct elf_image *image, char error[ELF_ERROR_MAX]);

#endif
