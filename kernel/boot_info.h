/* SPDX-License-Identifier: MIT */
/* The multiboot2 information (Multiboot2 Specification 2.0, section 3.6), read as untrusted input:
 * nothing outside [information, information + total_size) is touched, and what cannot be right is
 * refused with a line that says what and where. Pure: runs on the host in tests. */
#ifndef KERNEL_BOOT_INFO_H
#define KERNEL_BOOT_INFO_H

#include "kernel/lib/types.h"

#define BOOT_INFO_MAX_SIZE    (256 * KIB) /* larger information is refused */
#define BOOT_MODULES_MAX      1024
#define BOOT_MEMORY_MAX       512
#define BOOT_ERROR_MAX        160

#define MULTIBOOT2_BOOTLOADER_MAGIC 0x36d76289u

struct boot_range {
    uint64_t start; /* physical; [start, end) */
    uint64_t end;
};

enum boot_memory_type { /* as in the specification's memory map and in ACPI */
    BOOT_MEMORY_AVAILABLE = 1,
    BOOT_MEMORY_RESERVED = 2,
    BOOT_MEMORY_ACPI_RECLAIMABLE = 3,
    BOOT_MEMORY_ACPI_NVS = 4,
    BOOT_MEMORY_BAD = 5,
};

struct boot_memory {
    struct boot_range range;
    uint32_t type; /* enum boot_memory_type; unknown numbers count as reserved */
};

struct boot_module {
    struct boot_range range;
    const char *string; /* NUL-terminated, inside the information */
};

struct boot_colour { /* where a pixel has it: `size` bits from bit `position` on */
    uint8_t position, size;
};

struct boot_framebuffer {
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t bits_per_pixel;
    uint8_t type;                         /* 0 indexed, 1 RGB, 2 EGA text */
    struct boot_colour red, green, blue; /* of RGB; all 0 when the tag does not say */
};

struct boot_info {
    const char *command_line; /* "" when there is none */
    const char *boot_loader;  /* "" when there is none */
    uint32_t memory_count;
    uint32_t module_count;
    const void *rsdp; /* the copy of the RSDP of ACPI 2.0, else of 1.0, else NULL */
    size_t rsdp_size;
    bool has_framebuffer;
    struct boot_framebuffer framebuffer;
    struct boot_memory memory[BOOT_MEMORY_MAX];
    struct boot_module modules[BOOT_MODULES_MAX];
};

/* Reads `size` bytes of information (the caller has made sure that they are readable; the first
 * word must not claim more) into `info`. `image` is where the hypervisor lies: a module that
 * overlaps it, or another module, or wraps, makes the information unusable. No memory map, or no
 * available memory, likewise. Returns 0, or -EINVAL (-E2BIG for too many entries) with one line
 * in `error`. The strings in `info` point into `information`. */
MUST_CHECK int boot_info_parse(const void *information, size_t size, struct boot_range image,
                               struct boot_info *info, char error[BOOT_ERROR_MAX]);

#endif
