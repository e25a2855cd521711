/* SPDX-License-Identifier: MIT */
/* Host page tables with 4 levels. Built once at boot, added to a little later; nothing is ever
 * unmapped, so no TLB shoot-down is needed. */
#include "kernel/mm/paging.h"

#include <linux/errno.h>

#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"

#define TABLE_RIGHTS (PTE_PRESENT | PAGING_WRITE)
#define ENTRIES      512
#define LEVELS       4
#define LOW_MEMORY   (1 * MIB)
#define PHYSICAL_MAX (64ull << 40) /* what fits between DIRECT_MAP_BASE and STACKS_BASE */

extern const char text_start[], text_end[], rodata_end[], data_end[], boot_stack_guard[];

static uint64_t *root;
static bool pages_1g;
static uint64_t devices_next = DEVICES_BASE;
static struct spinlock lock;

static unsigned index_of(uint64_t virtual, unsigned level)
{
    return (virtual >> (PAGE_SHIFT + 9 * level)) & (ENTRIES - 1);
}

static uint64_t leaf_size(unsigned level)
{
    return PAGE_SIZE << (9 * level);
}

/* The largest leaf that starts at both addresses and does not reach beyond `size`. */
static unsigned leaf_level(uint64_t virtual, uint64_t physical, uint64_t size)
{
    for (unsigned level = pages_1g ? 2 : 1; level > 0; level--)
        if (IS_ALIGNED(virtual | physical, leaf_size(level)) && size >= leaf_size(level))
            return level;
    return 0;
}

/* The entry for `virtual` at `level`, with the tables above it; NULL when memory is out, or when a
 * larger leaf covers the address (`*covered`). */
static uint64_t *entry_for(uint64_t virtual, unsigned level, bool *covered)
{
    uint64_t *table = root;
    *covered = false;
    for (unsigned at = LEVELS - 1; at > level; at--) {
        uint64_t *entry = &table[index_of(virtual, at)];
        if (*entry & PTE_LARGE) {
            *covered = true;
            return NULL;
        }
        if (!(*entry & PTE_PRESENT)) {
            void *page = page_alloc();
            if (!page)
                return NULL;
            *entry = virt_to_phys(page).value | TABLE_RIGHTS;
        }
        table = phys_to_virt(HPA(*entry & PTE_ADDRESS));
    }
    return &table[index_of(virtual, level)];
}

static int map(uint64_t virtual, uint64_t physical, uint64_t size, uint64_t rights)
{
    uint64_t bits = PTE_PRESENT | (rights & (PAGING_WRITE | PAGING_COMBINED | PAGING_UNCACHED)) |
                    (rights & PAGING_EXECUTE ? 0 : PTE_NX);
    while (size > 0) {
        unsigned level = leaf_level(virtual, physical, size);
        bool covered;
        uint64_t *entry = entry_for(virtual, level, &covered);
        /* Where smaller pages are mapped already, fill in between them. */
        while (entry && level > 0 && (*entry & PTE_PRESENT) && !(*entry & PTE_LARGE))
            entry = entry_for(virtual, --level, &covered);
        if (!entry && !covered)
            return -ENOMEM;
        if (entry && !(*entry & PTE_PRESENT))
            *entry = physical | bits | (level > 0 ? PTE_LARGE : 0);
        uint64_t step = MIN(leaf_size(level), size);
        virtual += step;
        physical += step;
        size -= step;
    }
    return 0;
}

int paging_map(uint64_t virtual, hpa_t physical, uint64_t size, uint64_t rights)
{
    spin_lock(&lock);
    int error = map(virtual, physical.value, size, rights);
    spin_unlock(&lock);
    return error;
}

const void *paging_map_readable(hpa_t physical, size_t size)
{
    uint64_t start = ALIGN_DOWN(physical.value, PAGE_SIZE);
    uint64_t end = physical.value + size;
    if (end < physical.value || end > PHYSICAL_MAX)
        return NULL;
    if (paging_map(DIRECT_MAP_BASE + start, HPA(start), ALIGN_UP(end, PAGE_SIZE) - start, 0))
        return NULL;
    return phys_to_virt(physical);
}

/* The end of what an entry can hold: bits beyond it are reserved and would fault. */
static uint64_t device_end(void)
{
    return MIN(BIT(cpuid(0x80000008, 0).eax & 0xff), PHYSICAL_MAX);
}

static volatile void *map_device(hpa_t physical, size_t size, uint64_t caching)
{
    uint64_t start = ALIGN_DOWN(physical.value, PAGE_SIZE);
    uint64_t end = physical.value + size;
    if (end < physical.value || end > device_end())
        return NULL;
    uint64_t length = ALIGN_UP(end, PAGE_SIZE) - start;
    spin_lock(&lock);
    uint64_t virtual = devices_next;
    devices_next += length;
    int error = map(virtual, start, length, PAGING_WRITE | caching);
    spin_unlock(&lock);
    return error ? NULL : (volatile void *)(virtual + (physical.value - start));
}

volatile void *paging_map_device(hpa_t physical, size_t size)
{
    return map_device(physical, size, PAGING_UNCACHED);
}

volatile void *paging_map_video(hpa_t physical, size_t size)
{
    return map_device(physical, size, PAGING_COMBINED);
}

static int map_image_part(const char *start, const char *end, uint64_t rights)
{
    return map((uint64_t)start, (uint64_t)start - KERNEL_BASE, (uint64_t)(end - start), rights);
}

static int map_image(void)
{
    int error = map_image_part(text_start, text_end, PAGING_EXECUTE);
    if (!error)
        error = map_image_part(text_end, rodata_end, 0);
    if (!error) /* the page below the boot stack is left out: its guard */
        error = map_image_part(rodata_end, boot_stack_guard, PAGING_WRITE);
    if (!error)
        error = map_image_part(boot_stack_guard + PAGE_SIZE, data_end, PAGING_WRITE);
    return error;
}

int paging_init(const struct boot_range *ram, size_t count)
{
    struct cpuid extended = cpuid(0x80000001, 0);
    pages_1g = extended.edx & CPUID_81_EDX_1G;
    root = page_alloc();
    if (!root)
        return -ENOMEM;
    int error = map_image();
    if (!error)
        error = map(DIRECT_MAP_BASE, 0, LOW_MEMORY, PAGING_WRITE);
    for (size_t i = 0; i < count && !error; i++) {
        uint64_t start = ALIGN_DOWN(ram[i].start, PAGE_SIZE);
        uint64_t end = MIN(ALIGN_UP(ram[i].end, PAGE_SIZE), PHYSICAL_MAX);
        if (start < end)
            error = map(DIRECT_MAP_BASE + start, start, end - start, PAGING_WRITE);
    }
    if (!error)
        write_cr3(paging_root());
    return error;
}

uint64_t paging_root(void)
{
    return virt_to_phys(root).value;
}
