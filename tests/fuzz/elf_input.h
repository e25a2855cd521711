/* SPDX-License-Identifier: MIT */
/* An ELF file of an input whose header was accepted: its program headers, as the file has them. */
#ifndef TESTS_FUZZ_ELF_INPUT_H
#define TESTS_FUZZ_ELF_INPUT_H

#include "tests/fuzz/input.h"

#include <elf.h>

struct image_file {
    const uint8_t *bytes;
    size_t size;
    Elf64_Ehdr header;
};

static inline Elf64_Phdr program_at(const struct image_file *file, unsigned index)
{
    Elf64_Phdr program;

    memcpy(&program, file->bytes + file->header.e_phoff + index * sizeof(program), sizeof(program));
    return program;
}

#endif
