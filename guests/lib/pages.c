/* SPDX-License-Identifier: MIT */
/* Changes of the guest's page tables (SDM Vol. 3A 4.5), and an allocator that never takes back. */
#include <stdatomic.h>

#include "guests/lib/guest.h"

#define PTE_PRESENT  BIT(0)
#define PTE_WRITABLE BIT(1)
#define PTE_USER     BIT(2)
#define PTE_NX       BIT(63)

#define MAPPED_END (4 * GIB) /* by start.asm */

extern uint64_t guest_page_table[512]; /* start.asm */
extern char image_end[];               /* guest.ld */

static _Atomic uintptr_t next_page;
static uintptr_t end_page;

void page_protect(const void *address, unsigned access)
{
    uint64_t page = ALIGN_DOWN((uintptr_t)address, PAGE_SIZE);
    if (page >= PAGE_SIZE_2M)
        return;

    uint64_t entry = page;
    if (access != PAGE_NONE)
        entry |= PTE_PRESENT;
    if (access & PAGE_WRITE)
        entry |= PTE_WRITABLE;
    if (access & PAGE_USER)
        entry |= PTE_USER;
    if (!(access & PAGE_EXECUTE) && (rdmsr(MSR_EFER) & EFER_NXE))
        entry |= PTE_NX;
    guest_page_table[page >> PAGE_SHIFT] = entry;
    __asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
}

/* What the hypervisor put behind the image is not RAM in the map: the range ends before it. */
void pages_init(void)
{
    const struct hvm_memmap_table_entry *map;
    size_t count = guest_memory_map(&map);
    uintptr_t image = (uintptr_t)image_end;

    for (size_t i = 0; i < count; i++) {
        if (map[i].type != XEN_HVM_MEMMAP_TYPE_RAM || map[i].addr > image ||
            map[i].addr + map[i].size <= image)
            continue;
        end_page = ALIGN_DOWN(MIN(map[i].addr + map[i].size, MAPPED_END), PAGE_SIZE);
        atomic_store(&next_page, image);
    }
}

void *pages_next(void)
{
    return (void *)atomic_load(&next_page);
}

void *pages_end(void)
{
    return (void *)end_page;
}

/* RAM is zeroed at the guest's start, and no page is handed out twice. */
void *pages_alloc(size_t count)
{
    uintptr_t first = atomic_load(&next_page);

    do {
        if (count == 0 || count > (end_page - first) / PAGE_SIZE)
            return NULL;
    } while (!atomic_compare_exchange_weak(&next_page, &first, first + count * PAGE_SIZE));
    return (void *)first;
}
