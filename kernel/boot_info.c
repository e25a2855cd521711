/* SPDX-License-Identifier: MIT */
/* The walk over the multiboot2 tags. The source of truth is the Multiboot2 Specification 2.0,
 * section 3.6 (Boot information format); the numbers in brackets are its subsections. The
 * information is untrusted: a tag is cut out and checked before its reader sees it. */
#include "kernel/boot_info.h"
#include "kernel/lib/format.h"
#include "kernel/lib/unaligned.h"

#include <linux/errno.h>
#include <string.h>

#define TAG_ALIGNMENT 8 /* [3.6.1] tags start at multiples of 8 */

struct information_header { /* [3.6.1] the fixed part */
    uint32_t total_size;
    uint32_t reserved;
};

struct tag_header { /* [3.6.2] */
    uint32_t type;
    uint32_t size; /* with this header, without the padding behind the tag */
};

enum tag_type {
    TAG_END = 0,           /* [3.6.2] */
    TAG_COMMAND_LINE = 1,  /* [3.6.5] */
    TAG_BOOT_LOADER = 2,   /* [3.6.13] */
    TAG_MODULE = 3,        /* [3.6.6] */
    TAG_MEMORY_MAP = 6,    /* [3.6.8] */
    TAG_FRAMEBUFFER = 8,   /* [3.6.12] */
    TAG_RSDP_ACPI_1 = 14,  /* [3.6.17] */
    TAG_RSDP_ACPI_2 = 15,  /* [3.6.18] */
};

struct module_tag { /* [3.6.6] behind the header; then the string */
    uint32_t start;
    uint32_t end;
};

struct memory_map_tag { /* [3.6.8] behind the header; then the entries */
    uint32_t entry_size; /* a multiple of 8; may grow in later versions */
    uint32_t entry_version;
};

struct memory_map_entry { /* [3.6.8] */
    uint64_t base;
    uint64_t length;
    uint32_t type;
    uint32_t reserved;
};

struct framebuffer_tag { /* [3.6.12] behind the header; then colour information */
    uint64_t address;
    uint32_t pitch;
    uint32_t width;
    uint32_t height;
    uint8_t bits_per_pixel;
    uint8_t type;
} __attribute__((packed));

/* The colour information of an RGB framebuffer begins two reserved bytes further on (in the header
 * multiboot2.h and in what GRUB writes; the text of 3.6.12 has one): six bytes, the position and
 * the size of red, of green, of blue. */
#define RGB_OFFSET (sizeof(struct framebuffer_tag) + 2)
#define RGB_SIZE   6
#define TYPE_RGB   1

/* Sizes of the RSDP (ACPI 6.4, 5.2.5.3): all of ACPI 1.0; at least this in ACPI 2.0. */
#define RSDP_1_SIZE 20
#define RSDP_2_SIZE 36

/* One tag, known to lie inside the information. */
struct tag {
    uint32_t type;
    size_t offset;       /* of its header in the information, for messages */
    const uint8_t *body; /* behind the header */
    size_t size;         /* of the body */
};

struct parser {
    struct boot_info *info;
    struct boot_range image;
    uint32_t seen; /* bit n: a tag of type n was there */
    char *error;
};

/* Writes the line that says what is wrong and returns `code`. */
#define refuse(parser, code, ...) \
    (snprintf((parser)->error, BOOT_ERROR_MAX, "boot information: " __VA_ARGS__), (code))

static int read_string(const struct parser *parser, const struct tag *tag, size_t offset,
                       const char **string)
{
    const char *text = (const char *)tag->body + offset;
    size_t limit = tag->size - offset;

    if (strnlen(text, limit) == limit)
        return refuse(parser, -EINVAL, "the string of tag %u at 0x%zx is not NUL-terminated",
                      tag->type, tag->offset);
    *string = text;
    return 0;
}

static int read_command_line(struct parser *parser, const struct tag *tag)
{
    return read_string(parser, tag, 0, &parser->info->command_line);
}

static int read_boot_loader(struct parser *parser, const struct tag *tag)
{
    return read_string(parser, tag, 0, &parser->info->boot_loader);
}

static bool overlaps(struct boot_range a, struct boot_range b)
{
    return MAX(a.start, b.start) < MIN(a.end, b.end);
}

static int read_module(struct parser *parser, const struct tag *tag)
{
    struct boot_info *info = parser->info;
    struct boot_range range = {
        .start = load_u32(tag->body + offsetof(struct module_tag, start)),
        .end = load_u32(tag->body + offsetof(struct module_tag, end)),
    };

    if (range.end < range.start)
        return refuse(parser, -EINVAL, "the module at 0x%lx ends at 0x%lx, before its start",
                      range.start, range.end);
    if (overlaps(range, parser->image))
        return refuse(parser, -EINVAL,
                      "the module at 0x%lx-0x%lx overlaps the hypervisor at 0x%lx-0x%lx",
                      range.start, range.end, parser->image.start, parser->image.end);

    for (uint32_t i = 0; i < info->module_count; i++) {
        const struct boot_range *other = &info->modules[i].range;
        if (overlaps(range, *other))
            return refuse(parser, -EINVAL,
                          "the module at 0x%lx-0x%lx overlaps the module at 0x%lx-0x%lx",
                          range.start, range.end, other->start, other->end);
    }
    if (info->module_count == BOOT_MODULES_MAX)
        return refuse(parser, -E2BIG, "more than %d modules", BOOT_MODULES_MAX);

    struct boot_module *module = &info->modules[info->module_count++];
    module->range = range;
    return read_string(parser, tag, sizeof(struct module_tag), &module->string);
}

static struct boot_memory read_memory_entry(const uint8_t *entry)
{
    uint64_t base = load_u64(entry + offsetof(struct memory_map_entry, base));
    uint64_t length = load_u64(entry + offsetof(struct memory_map_entry, length));
    struct boot_memory memory = {
        .range.start = base,
        .type = load_u32(entry + offsetof(struct memory_map_entry, type)),
    };

    if (__builtin_add_overflow(base, length, &memory.range.end))
        memory.range.end = UINT64_MAX; /* cut where the address space ends */
    return memory;
}

static int read_memory_map(struct parser *parser, const struct tag *tag)
{
    struct boot_info *info = parser->info;
    uint32_t entry_size = load_u32(tag->body + offsetof(struct memory_map_tag, entry_size));
    const uint8_t *entries = tag->body + sizeof(struct memory_map_tag);
    size_t size = tag->size - sizeof(struct memory_map_tag);

    if (entry_size < sizeof(struct memory_map_entry) || entry_size % 8 != 0)
        return refuse(parser, -EINVAL, "a memory map with entries of %u bytes", entry_size);
    if (size % entry_size != 0)
        return refuse(parser, -EINVAL, "a memory map of 0x%zx bytes with entries of %u bytes",
                      size, entry_size);
    if (size / entry_size > BOOT_MEMORY_MAX)
        return refuse(parser, -E2BIG, "%zu entries in the memory map; %d is the limit",
                      size / entry_size, BOOT_MEMORY_MAX);

    for (size_t offset = 0; offset < size; offset += entry_size)
        info->memory[info->memory_count++] = read_memory_entry(entries + offset);
    return 0;
}

static int read_framebuffer(struct parser *parser, const struct tag *tag)
{
    const uint8_t *body = tag->body;
    struct boot_framebuffer *framebuffer = &parser->info->framebuffer;

    parser->info->has_framebuffer = true;
    *framebuffer = (struct boot_framebuffer){
        .address = load_u64(body + offsetof(struct framebuffer_tag, address)),
        .pitch = load_u32(body + offsetof(struct framebuffer_tag, pitch)),
        .width = load_u32(body + offsetof(struct framebuffer_tag, width)),
        .height = load_u32(body + offsetof(struct framebuffer_tag, height)),
        .bits_per_pixel = body[offsetof(struct framebuffer_tag, bits_per_pixel)],
        .type = body[offsetof(struct framebuffer_tag, type)],
    };
    if (framebuffer->type == TYPE_RGB && tag->size >= RGB_OFFSET + RGB_SIZE) {
        const uint8_t *rgb = body + RGB_OFFSET;
        framebuffer->red = (struct boot_colour){rgb[0], rgb[1]};
        framebuffer->green = (struct boot_colour){rgb[2], rgb[3]};
        framebuffer->blue = (struct boot_colour){rgb[4], rgb[5]};
    }
    return 0;
}

/* The tags come in any order: the copy of ACPI 2.0 replaces the one of 1.0, never the reverse. */
static int read_rsdp(struct parser *parser, const struct tag *tag)
{
    if (tag->type == TAG_RSDP_ACPI_1 && (parser->seen & BIT(TAG_RSDP_ACPI_2)))
        return 0;
    parser->info->rsdp = tag->body;
    parser->info->rsdp_size = tag->size;
    return 0;
}

static const struct tag_reader {
    uint32_t type;
    bool once;           /* a second one is an error */
    size_t minimum_size; /* of the body */
    int (*read)(struct parser *parser, const struct tag *tag);
} readers[] = {
    {TAG_COMMAND_LINE, true,  1,                              read_command_line},
    {TAG_BOOT_LOADER,  true,  1,                              read_boot_loader},
    {TAG_MODULE,       false, sizeof(struct module_tag) + 1,  read_module},
    {TAG_MEMORY_MAP,   true,  sizeof(struct memory_map_tag),  read_memory_map},
    {TAG_FRAMEBUFFER,  true,  sizeof(struct framebuffer_tag), read_framebuffer},
    {TAG_RSDP_ACPI_1,  true,  RSDP_1_SIZE,                    read_rsdp},
    {TAG_RSDP_ACPI_2,  true,  RSDP_2_SIZE,                    read_rsdp},
};

/* Tags of other types are left alone. */
static int read_tag(struct parser *parser, const struct tag *tag)
{
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        const struct tag_reader *reader = &readers[i];
        if (reader->type != tag->type)
            continue;
        if (tag->size < reader->minimum_size)
            return refuse(parser, -EINVAL, "tag %u at 0x%zx is too short: 0x%zx bytes", tag->type,
                          tag->offset, tag->size + sizeof(struct tag_header));
        if (reader->once && (parser->seen & BIT(tag->type)))
            return refuse(parser, -EINVAL, "a second tag %u at 0x%zx", tag->type, tag->offset);

        int error = reader->read(parser, tag);
        parser->seen |= (uint32_t)BIT(tag->type);
        return error;
    }
    return 0;
}

/* [3.6.2] The tags fill [8, total_size); the end tag is the last that is looked at. */
static int read_tags(struct parser *parser, const uint8_t *information, size_t total_size)
{
    size_t offset = sizeof(struct information_header);

    while (offset + sizeof(struct tag_header) <= total_size) {
        const uint8_t *header = information + offset;
        uint32_t size = load_u32(header + offsetof(struct tag_header, size));
        struct tag tag = {
            .type = load_u32(header + offsetof(struct tag_header, type)),
            .offset = offset,
            .body = header + sizeof(struct tag_header),
            .size = size - sizeof(struct tag_header),
        };

        if (size < sizeof(struct tag_header) || size > total_size - offset)
            return refuse(parser, -EINVAL, "tag %u at 0x%zx claims 0x%x bytes of 0x%zx", tag.type,
                          offset, size, total_size - offset);
        if (tag.type == TAG_END)
            return 0;

        int error = read_tag(parser, &tag);
        if (error)
            return error;
        offset = ALIGN_UP(offset + size, TAG_ALIGNMENT);
    }
    return refuse(parser, -EINVAL, "no end tag in 0x%zx bytes", total_size);
}

static bool has_available_memory(const struct boot_info *info)
{
    for (uint32_t i = 0; i < info->memory_count; i++) {
        const struct boot_memory *memory = &info->memory[i];
        if (memory->type == BOOT_MEMORY_AVAILABLE && memory->range.start < memory->range.end)
            return true;
    }
    return false;
}

int boot_info_parse(const void *information, size_t size, struct boot_range image,
                    struct boot_info *info, char error[BOOT_ERROR_MAX])
{
    struct parser parser = {.info = info, .image = image, .error = error};

    memset(info, 0, sizeof(*info));
    info->command_line = "";
    info->boot_loader = "";

    if (size < sizeof(struct information_header))
        return refuse(&parser, -EINVAL, "only 0x%zx bytes are readable", size);
    size_t total_size = load_u32(information);
    if (total_size > size || total_size > BOOT_INFO_MAX_SIZE)
        return refuse(&parser, -EINVAL, "it claims 0x%zx bytes; 0x%zx are the limit", total_size,
                      MIN(size, (size_t)BOOT_INFO_MAX_SIZE));

    int result = read_tags(&parser, information, total_size);
    if (result)
        return result;
    if (!(parser.seen & BIT(TAG_MEMORY_MAP)))
        return refuse(&parser, -EINVAL, "no memory map (tag %d)", TAG_MEMORY_MAP);
    if (!has_available_memory(info))
        return refuse(&parser, -EINVAL, "no available memory among %u entries of the memory map",
                      info->memory_count);
    return 0;
}
