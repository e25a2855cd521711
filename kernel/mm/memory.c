/* SPDX-License-Identifier: MIT */
/* Bringing memory up. Until paging_init only the first 4 GiB are mapped, so the allocator's
 * metadata and the page tables come from there; what lies above is added afterwards. */
#include "kernel/mm/memory.h"

#include <linux/errno.h>

#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/memory_map.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"

#define RANGES_MAX     1024
#define LOW_END        0xa0000ull /* the video memory begins */
#define BOOT_MAP_END   (4 * GIB)
#define METADATA_SHARE 4 /* the metadata takes at most this part of its range */

static struct boot_range reserved[BOOT_MODULES_MAX + 4];
static size_t reserved_count;
static bool has_low_page;
static struct boot_range usable[RANGES_MAX];
static const struct boot_info *boot;

static void reserve(uint64_t start, uint64_t end)
{
    reserved[reserved_count++] = (struct boot_range){start, end};
}

static int find_usable(const struct boot_info *info)
{
    return memory_map_usable(info->memory, info->memory_count, reserved, reserved_count, usable,
                             RANGES_MAX);
}

/* The highest free page below the video memory. */
static hpa_t take_low_page(int count)
{
    uint64_t page = 0;
    for (int i = 0; i < count; i++) {
        uint64_t end = MIN(usable[i].end, LOW_END);
        if (usable[i].start < end && end - PAGE_SIZE >= PAGE_SIZE)
            page = MAX(page, end - PAGE_SIZE);
    }
    has_low_page = page != 0;
    if (has_low_page)
        reserve(page, page + PAGE_SIZE);
    return HPA(page);
}

/* One byte for each frame up to the last usable one, in the largest range below 4 GiB. */
static int place_metadata(int count)
{
    struct boot_range best = {0, 0};
    uint64_t end = 0;
    for (int i = 0; i < count; i++) {
        struct boot_range range = {usable[i].start, MIN(usable[i].end, BOOT_MAP_END)};
        if (range.start < range.end && range.end - range.start > best.end - best.start)
            best = range;
        end = MAX(end, usable[i].end);
    }
    uint64_t most = (best.end - best.start) / METADATA_SHARE;
    uint64_t frames = end / PAGE_SIZE;
    if (frames > most) {
        frames = most;
        log_info("memory above 0x%llx is left unused: no room for its metadata below 4 GiB",
                 (unsigned long long)(frames * PAGE_SIZE));
    }
    if (frames == 0)
        return -ENOMEM;
    reserve(best.start, best.start + ALIGN_UP(frames, PAGE_SIZE));
    frames_init(phys_to_virt(HPA(best.start)), HPA(frames * PAGE_SIZE));
    return 0;
}

static void add_frames(int count, uint64_t from, uint64_t to)
{
    for (int i = 0; i < count; i++) {
        uint64_t start = MAX(usable[i].start, from), end = MIN(usable[i].end, to);
        if (start < end)
            frames_add(HPA(start), HPA(end));
    }
}

/* The direct map holds all RAM but the image, whose sections have rights of their own. */
static int map_ram(const struct boot_info *info, struct boot_range image)
{
    static struct boot_range ram[RANGES_MAX];
    int count = memory_map_usable(info->memory, info->memory_count, &image, 1, ram, RANGES_MAX);
    return count < 0 ? count : paging_init(ram, (size_t)count);
}

int memory_init(const struct boot_info *info, struct boot_range image, hpa_t *low_page,
                char error[MEMORY_ERROR_MAX])
{
    boot = info;
    reserve(image.start, image.end);
    for (uint32_t i = 0; i < info->module_count; i++)
        reserve(info->modules[i].range.start, info->modules[i].range.end);
    int count = find_usable(info);
    if (count >= 0) {
        *low_page = take_low_page(count);
        count = find_usable(info);
    }
    if (count < 0 || place_metadata(count) || (count = find_usable(info)) < 0) {
        snprintf(error, MEMORY_ERROR_MAX, "the memory map gives no usable memory below 4 GiB");
        return -ENOMEM;
    }
    add_frames(count, 0, BOOT_MAP_END);
    int status = map_ram(info, image);
    if (status) {
        snprintf(error, MEMORY_ERROR_MAX, "no memory for the host's page tables");
        return status;
    }
    add_frames(count, BOOT_MAP_END, UINT64_MAX);
    log_info("memory: %llu MiB usable in %d ranges, up to 0x%llx",
             (unsigned long long)(frames_total_count() * PAGE_SIZE / MIB), count,
             (unsigned long long)usable[count - 1].end);
    return 0;
}

const struct boot_info *memory_boot_info(void)
{
    return boot;
}

/* As memory_init reserved them. */
bool memory_reserved(size_t number, enum memory_use *use, struct boot_range *range)
{
    size_t behind_modules = 1 + boot->module_count;
    if (number >= reserved_count)
        return false;
    *range = reserved[number];
    *use = number == 0                                ? MEMORY_IMAGE
           : number < behind_modules                  ? MEMORY_MODULE
           : number == behind_modules && has_low_page ? MEMORY_TRAMPOLINE
                                                      : MEMORY_METADATA;
    return true;
}
