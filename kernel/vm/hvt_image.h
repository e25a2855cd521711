/* SPDX-License-Identifier: MIT */
/* Images of Solo5 hvt guests: ELF executables whose notes say what ABI they are built for and which
 * devices they need. The rules are those of Solo5's own loader (its tenders/common/elf.c and mft.c,
 * v0.12.1), where a segment without bytes in the file is neither loaded nor protected. The file is
 * hostile. Pure. */
#ifndef KERNEL_VM_HVT_IMAGE_H
#define KERNEL_VM_HVT_IMAGE_H

#include <atoll/hvt.h>

#include "kernel/vm/elf_file.h"

#define HVT_SEGMENTS_MAX 16

struct hvt_segment {
    uint64_t start, end;  /* of the pages that it gives rights to */
    gpa_t address;        /* of its bytes */
    uint64_t file_offset, file_size;
    bool readable, writable, executable;
};

struct hvt_image {
    uint64_t entry;
    uint64_t kernel_end;  /* the end of the last segment */
    uint32_t segment_count;
    struct hvt_segment segments[HVT_SEGMENTS_MAX]; /* ascending, disjoint, below ram_size */
    uint32_t entries;     /* of the manifest: 1 to HVT_MANIFEST_MAX */
    const uint8_t *manifest; /* the first entry, in the file, maybe unaligned */
};

/* Has the file a note of Solo5's? Then it is no other kind of image, right or wrong. */
bool hvt_image_is(const void *file, size_t size);

/* Reads the headers of `file` for a guest whose RAM is [0, ram_size). 0, or -EINVAL (-ENOEXEC: no
 * ELF file) with one line in `error` that names the rule and the offending number. */
MUST_CHECK int hvt_image_parse(const void *file, size_t size, uint64_t ram_size,
                               struct hvt_image *image, char error[ELF_ERROR_MAX]);

/* Entry `index` of its manifest: a name with its NUL, a type of enum hvt_device_type; 0 is the
 * reserved one. */
struct hvt_manifest_entry hvt_image_entry(const struct hvt_image *image, uint32_t index);

#endif
