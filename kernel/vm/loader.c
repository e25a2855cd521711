/* SPDX-License-Identifier: MIT */
/* Loading a guest: memory first, then the image, then rights. EPT maps nothing writable and
 * executable where the image says otherwise: text is RX, read-only data R, data RW. RAM that no
 * segment covers is the guest's own business. */
#include "kernel/vm/loader.h"

#include "kernel/lib/format.h"
#include "kernel/mm/frames.h"
#include "kernel/vm/elf_image.h"
#include "kernel/vm/start_info.h"
#include "vmx/vmx.h"

/* The end of the highest segment, to whole pages. */
static uint64_t image_end(const struct elf_image *image)
{
    const struct elf_segment *last = &image->segments[image->segment_count - 1];
    return ALIGN_UP(last->address.value + last->memory_size, PAGE_SIZE);
}

/* What all segments together want of a page: neighbours may share one. */
static uint8_t page_access(const struct elf_image *image, uint64_t page)
{
    uint8_t access = 0;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        if (page + PAGE_SIZE <= s->address.value || page >= s->address.value + s->memory_size)
            continue;
        access |= EPT_READ | (s->writable ? EPT_WRITE : 0) | (s->executable ? EPT_EXECUTE : 0);
    }
    return access;
}

static int protect(struct guest_memory *memory, const struct elf_image *image)
{
    uint64_t page = ALIGN_DOWN(image->segments[0].address.value, PAGE_SIZE);
    for (; page < image_end(image); page += PAGE_SIZE) {
        uint8_t access = page_access(image, page);
        int error = access ? ept_protect(&memory->ept, GPA(page), PAGE_SIZE, access) : 0;
        if (error)
            return error;
    }
    return 0;
}

static int fill(struct guest_memory *memory, const struct elf_image *image, const char *file)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        int error = guest_write(memory, s->address, file + s->file_offset, s->file_size);
        if (error)
            return error;
    }
    return protect(memory, image);
}

int guest_load(struct guest_memory *memory, const struct vm_config *config, const void *file,
               size_t size, gpa_t *entry, gpa_t *start_info, char error[LOADER_ERROR_MAX])
{
    struct elf_image image;
    _Static_assert(ELF_ERROR_MAX <= LOADER_ERROR_MAX, "the image's error fits");
    uint64_t low = MIN(config->memory, GUEST_HOLE_START);
    int status = elf_image_parse(file, size, low, &image, error);
    if (status)
        return status;
    status = guest_memory_create(memory, config->memory, vmx_ept_max_order(), image_end(&image));
    if (status) {
        snprintf(error, LOADER_ERROR_MAX, "mem=%lluK: not enough memory, %llu KiB are free",
                 (unsigned long long)(config->memory / KIB),
                 (unsigned long long)(frames_free_count() * PAGE_SIZE / KIB));
        return status;
    }
    status = fill(memory, &image, file);
    if (!status)
        status = start_info_write(memory, &image, config->command_line, start_info);
    if (status) {
        snprintf(error, LOADER_ERROR_MAX, "mem=%lluK: no page is left beside the image for the "
                 "start information", (unsigned long long)(config->memory / KIB));
        guest_memory_destroy(memory);
        return status;
    }
    *entry = image.entry;
    return 0;
}
