/* SPDX-License-Identifier: MIT */
/* The manifest, which each hvt guest has exactly once, behind its includes:
 *
 *     HVT_DEVICES(HVT_BLOCK("storage"), HVT_NET("service0"));
 *     HVT_DEVICES();
 */
#ifndef GUESTS_HVT_LIB_MANIFEST_H
#define GUESTS_HVT_LIB_MANIFEST_H

#include <stdint.h>

#include "atoll/hvt.h"

/* The head of a note (ELF-64 Object File Format, "Note section") with Solo5's name. */
struct hvt_note {
    uint32_t name_size, content_size, type;
    char name[8];
};

#define HVT_NOTE(type, content_size)                                                               \
    {                                                                                              \
        sizeof(HVT_NOTE_NAME), content_size, type, HVT_NOTE_NAME                                   \
    }

/* A struct that is read in the image alone: the linker script makes a PT_NOTE of each section. */
#define HVT_NOTE_SECTION(name) __attribute__((section(".note.hvt." name), used, aligned(4)))

#define HVT_BLOCK(device)                                                                          \
    {                                                                                              \
        .name = device, .type = HVT_DEVICE_BLOCK                                                   \
    }
#define HVT_NET(device)                                                                            \
    {                                                                                              \
        .name = device, .type = HVT_DEVICE_NET                                                     \
    }

#define HVT_ENTRIES(...)                                                                           \
    {                                                                                              \
        {.type = HVT_DEVICE_RESERVED}, ##__VA_ARGS__                                               \
    }
#define HVT_ENTRY_COUNT(...)                                                                       \
    (sizeof((struct hvt_manifest_entry[])HVT_ENTRIES(__VA_ARGS__)) /                               \
     sizeof(struct hvt_manifest_entry))

/* The content is aligned to 8, so 4 bytes of padding belong to it. */
#define HVT_DEVICES(...)                                                                           \
    HVT_NOTE_SECTION("manifest")                                                                   \
    static const struct {                                                                          \
        struct hvt_note note;                                                                      \
        uint32_t padding, version, entries;                                                        \
        struct hvt_manifest_entry entry[HVT_ENTRY_COUNT(__VA_ARGS__)];                             \
    } __attribute__((packed)) hvt_manifest_note = {                                                \
        HVT_NOTE(HVT_NOTE_MANIFEST, sizeof(hvt_manifest_note) - sizeof(struct hvt_note)),          \
        0,                                                                                         \
        HVT_MANIFEST_VERSION,                                                                      \
        HVT_ENTRY_COUNT(__VA_ARGS__),                                                              \
        HVT_ENTRIES(__VA_ARGS__),                                                                  \
    }

#endif
