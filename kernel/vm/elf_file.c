/* SPDX-License-Identifier: MIT */
/* The ELF header and the program headers. */
#include "kernel/vm/elf_file.h"

#include <linux/errno.h>
#include <string.h>

/* Bounds the work: a linker makes a handful of program headers. */
#define PROGRAM_HEADERS_MAX 64

bool elf_in_file(const struct elf_file *file, uint64_t offset, uint64_t size)
{
    return offset <= file->size && size <= file->size - offset;
}

static int check_identity(const struct elf_file *file, const Elf64_Ehdr *header)
{
    const struct {
        const char *what;
        unsigned long long value, wanted;
    } rules[] = {
        {"class", header->e_ident[EI_CLASS], ELFCLASS64},
        {"byte order", header->e_ident[EI_DATA], ELFDATA2LSB},
        {"identification version", header->e_ident[EI_VERSION], EV_CURRENT},
        {"type", header->e_type, ET_EXEC},
        {"machine", header->e_machine, EM_X86_64},
        {"version", header->e_version, EV_CURRENT},
        {"header size", header->e_ehsize, sizeof(Elf64_Ehdr)},
        {"program header size", header->e_phentsize, sizeof(Elf64_Phdr)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (rules[i].value != rules[i].wanted)
            return elf_refuse(file, "ELF %s is 0x%llx, must be 0x%llx", rules[i].what,
                              rules[i].value, rules[i].wanted);
    return 0;
}

int elf_read_header(const struct elf_file *file, Elf64_Ehdr *header)
{
    if (file->size < SELFMAG || memcmp(file->bytes, ELFMAG, SELFMAG) != 0) {
        snprintf(file->error, ELF_ERROR_MAX, "not an ELF file");
        return -ENOEXEC;
    }
    if (file->size < sizeof(*header))
        return elf_refuse(file, "file of 0x%llx bytes is shorter than an ELF header",
                          (unsigned long long)file->size);
    memcpy(header, file->bytes, sizeof(*header));

    int error = check_identity(file, header);
    if (error != 0)
        return error;
    if (header->e_phnum > PROGRAM_HEADERS_MAX)
        return elf_refuse(file, "%u program headers, more than %u", header->e_phnum,
                          PROGRAM_HEADERS_MAX);
    if (!elf_in_file(file, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)))
        return elf_refuse(file, "%u program headers at 0x%llx lie outside the file of 0x%llx bytes",
                          header->e_phnum, (unsigned long long)header->e_phoff,
                          (unsigned long long)file->size);
    return 0;
}

Elf64_Phdr elf_program_header(const struct elf_file *file, const Elf64_Ehdr *header,
                              unsigned index)
{
    Elf64_Phdr program;
    memcpy(&program, file->bytes + header->e_phoff + index * sizeof(program), sizeof(program));
    return program;
}
