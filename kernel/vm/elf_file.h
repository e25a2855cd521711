/* SPDX-License-Identifier: MIT */
/* ELF-64 files for x86-64 (System V ABI, chapters 4 and 5), as far as all kinds of guest images
 * have it in common. The file is hostile: every offset in it is checked by elf_in_file before it is
 * followed, and headers are copied out, for they may lie unaligned. Pure. */
#ifndef KERNEL_VM_ELF_FILE_H
#define KERNEL_VM_ELF_FILE_H

#include <elf.h>

#include "kernel/lib/format.h"
#include "kernel/lib/types.h"

#define ELF_ERROR_MAX 160

struct elf_file {
    const uint8_t *bytes;
    size_t size;
    char *error; /* ELF_ERROR_MAX bytes: one line when the file is refused */
};

/* Writes the line that says what is wrong and is -EINVAL; <linux/errno.h> must be there. */
#define elf_refuse(file, ...) (snprintf((file)->error, ELF_ERROR_MAX, __VA_ARGS__), -EINVAL)

/* Are these bytes within the file? */
bool elf_in_file(const struct elf_file *file, uint64_t offset, uint64_t size);

/* Reads the header of an executable (ET_EXEC) whose program headers, 64 at most, lie in the file.
 * Returns 0, -ENOEXEC when it is no ELF file at all, or -EINVAL. */
MUST_CHECK int elf_read_header(const struct elf_file *file, Elf64_Ehdr *header);

/* Program header `index`, below header->e_phnum. */
Elf64_Phdr elf_program_header(const struct elf_file *file, const Elf64_Ehdr *header,
                              unsigned index);

#endif
