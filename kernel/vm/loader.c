/* SPDX-License-Identifier: MIT */
/* Loading a guest: memory first, then rights, then the bytes that its file has; the rest of the
 * image is zero until it is touched. EPT maps nothing writable and executable where the image says
 * otherwise: text is RX, read-only data R, data RW. RAM that no segment covers is the guest's own
 * business. */
#include "kernel/vm/loader.h"

#include "kernel/lib/format.h"
#include "kernel/mm/frames.h"
#include "kernel/vm/elf_image.h"
#include "kernel/vm/start_info.h"
#include "vmx/vmx.h"

/* The rights of whole pages; neighbours may share one, which then has those of both. */
static int set_rights(struct guest_memory *memory, const struct elf_image *image)
{
    struct guest_region regions[ELF_SEGMENTS_MAX];
    _Static_assert(ELF_SEGMENTS_MAX <= GUEST_REGIONS_MAX, "each segment gets its region");
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        regions[i] = (struct guest_region){
            .start = ALIGN_DOWN(s->address.value, PAGE_SIZE),
            .end = ALIGN_UP(s->address.value + s->memory_size, PAGE_SIZE),
            .access = EPT_READ | (s->writable ? EPT_WRITE : 0) | (s->executable ? EPT_EXECUTE : 0),
        };
    }
    return guest_memory_set_regions(memory, regions, image->segment_count, EPT_RWX);
}

static int fill(struct guest_memory *memory, const struct elf_image *image, const char *file)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        int error = guest_load_bytes(memory, s->address, file + s->file_offset, s->file_size);
        if (error)
            return error;
    }
    return 0;
}

int guest_load(struct guest_memory *memory, const struct vm_config *config, const void *file,
               size_t size, uint64_t extra, gpa_t *entry, gpa_t *start_info,
               char error[LOADER_ERROR_MAX])
{
    struct elf_image image;
    _Static_assert(ELF_ERROR_MAX <= LOADER_ERROR_MAX, "the image's error fits");
    uint64_t low = MIN(config->memory, GUEST_HOLE_START);
    int status = elf_image_parse(file, size, low, &image, error);
    if (status)
        return status;
    status = guest_memory_create(memory, config->memory, GUEST_WITH_HOLE, vmx_ept_max_order(),
                                 extra);
    if (status) {
        snprintf(error, LOADER_ERROR_MAX, "mem=%lluK: not enough memory, %llu KiB are free",
                 (unsigned long long)(config->memory / KIB),
                 (unsigned long long)(frames_available_count() * PAGE_SIZE / KIB));
        return status;
    }
    status = set_rights(memory, &image);
    if (!status && config->eager)
        guest_memory_map_all(memory); /* while nothing is there yet: the largest leaves fit */
    if (!status)
        status = fill(memory, &image, file);
    if (!status)
        status = start_info_write(memory, &image, config->command_line, config->vcpus, start_info);
    if (status) {
        snprintf(error, LOADER_ERROR_MAX, "mem=%lluK: no page is left beside the image for the "
                 "start information", (unsigned long long)(config->memory / KIB));
        guest_memory_destroy(memory);
        return status;
    }
    *entry = image.entry;
    return 0;
}
