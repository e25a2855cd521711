/* SPDX-License-Identifier: MIT */
/* Any bytes as multiboot2 information: what is accepted lies within it and obeys its rules, and is
 * the same when the tags come in the reverse order, with one of an unknown type among them. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "kernel/boot_info.h"
#include "kernel/lib/unaligned.h"

#define UNKNOWN_TAG 77
#define TAG_HEADER  8u
#define FIXED_PART  8u

static const struct boot_range image = {0x100000, 0x200000};

static bool overlap(struct boot_range a, struct boot_range b)
{
    return a.start < b.end && b.start < a.end && a.start < a.end && b.start < b.end;
}

static void check_string(const uint8_t *bytes, size_t size, const char *string)
{
    const uint8_t *at = (const uint8_t *)string;

    if (string[0] == '\0')
        return; /* it may stand for none */
    require(at >= bytes + FIXED_PART && at < bytes + size, "a string elsewhere");
    require(memchr(at, '\0', size - (size_t)(at - bytes)), "a string without its end");
}

static void check_info(const uint8_t *bytes, size_t size, const struct boot_info *info)
{
    bool available = false;

    check_string(bytes, size, info->command_line);
    check_string(bytes, size, info->boot_loader);
    require(info->module_count <= BOOT_MODULES_MAX && info->memory_count <= BOOT_MEMORY_MAX,
            "counts");
    for (uint32_t i = 0; i < info->module_count; i++) {
        struct boot_range range = info->modules[i].range;
        require(range.start <= range.end && !overlap(range, image), "a module's place");
        for (uint32_t j = 0; j < i; j++)
            require(!overlap(range, info->modules[j].range), "two modules in one place");
        check_string(bytes, size, info->modules[i].string);
    }
    for (uint32_t i = 0; i < info->memory_count; i++) {
        struct boot_range range = info->memory[i].range;
        require(range.start <= range.end, "memory that ends before it starts");
        available |= info->memory[i].type == BOOT_MEMORY_AVAILABLE && range.start < range.end;
    }
    require(available, "no memory");
    const uint8_t *rsdp = info->rsdp;
    if (rsdp)
        require(rsdp >= bytes && info->rsdp_size >= 20 && rsdp + info->rsdp_size <= bytes + size,
                "an RSDP elsewhere");
}

static void same(bool holds)
{
    require(holds, "the order of the tags matters");
}

static void check_same(const struct boot_info *a, const struct boot_info *b)
{
    const struct boot_framebuffer *x = &a->framebuffer, *y = &b->framebuffer;

    same(strcmp(a->command_line, b->command_line) == 0);
    same(strcmp(a->boot_loader, b->boot_loader) == 0);
    same(a->rsdp_size == b->rsdp_size && !a->rsdp == !b->rsdp);
    same(!a->rsdp || memcmp(a->rsdp, b->rsdp, a->rsdp_size) == 0);
    same(a->has_framebuffer == b->has_framebuffer);
    same(x->address == y->address && x->pitch == y->pitch && x->width == y->width);
    same(x->height == y->height && x->bits_per_pixel == y->bits_per_pixel && x->type == y->type);
    same(memcmp(&x->red, &y->red, 3 * sizeof(x->red)) == 0);
    same(a->module_count == b->module_count && a->memory_count == b->memory_count);
    for (uint32_t i = 0; i < a->module_count; i++) {
        const struct boot_module *one = &a->modules[i];
        const struct boot_module *other = &b->modules[a->module_count - 1 - i];
        same(one->range.start == other->range.start && one->range.end == other->range.end);
        same(strcmp(one->string, other->string) == 0);
    }
    for (uint32_t i = 0; i < a->memory_count; i++)
        same(a->memory[i].range.start == b->memory[i].range.start &&
             a->memory[i].range.end == b->memory[i].range.end &&
             a->memory[i].type == b->memory[i].type);
}

/* The accepted information with its tags in the reverse order; returns its size. */
static size_t reverse_tags(const uint8_t *bytes, uint8_t *reverse)
{
    size_t offsets[1024], count = 0, used = FIXED_PART;

    for (size_t at = FIXED_PART; load_u32(bytes + at) != 0 && count < ARRAY_SIZE(offsets);
         at = ALIGN_UP(at + load_u32(bytes + at + 4), 8))
        offsets[count++] = at;
    memcpy(reverse + used, (const uint32_t[]){UNKNOWN_TAG, TAG_HEADER}, TAG_HEADER);
    used += TAG_HEADER;
    while (count > 0) {
        const uint8_t *tag = bytes + offsets[--count];
        memcpy(reverse + used, tag, load_u32(tag + 4));
        used = ALIGN_UP(used + load_u32(tag + 4), 8);
    }
    memcpy(reverse + used, (const uint32_t[]){0, TAG_HEADER}, TAG_HEADER);
    used += TAG_HEADER;
    memcpy(reverse, (const uint32_t[]){(uint32_t)used, 0}, FIXED_PART);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct boot_info info, again;
    char error[BOOT_ERROR_MAX] = "";
    uint8_t *bytes = exact_copy(data, size);

    int result = boot_info_parse(bytes, size, image, &info, error);
    require(result == 0 || result == -EINVAL || result == -E2BIG, "a result of its own");
    require_line(error, sizeof(error));
    require((result == 0) == (error[0] == '\0'), "an error without words, or words without one");
    if (result == 0) {
        uint8_t *reverse = calloc(1, size + 4 * TAG_HEADER);
        require(reverse, "memory");
        check_info(bytes, load_u32(bytes), &info);
        size_t used = reverse_tags(bytes, reverse);
        same(boot_info_parse(reverse, used, image, &again, error) == 0);
        check_same(&info, &again);
        free(reverse);
    }
    free(bytes);
    return 0;
}
