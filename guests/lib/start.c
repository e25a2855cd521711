/* SPDX-License-Identifier: MIT */
/* What happens before and after a guest's main, and what it was started with: command line and
 * memory map of struct hvm_start_info (xen/arch-x86/hvm/start_info.h). */
#include "guests/lib/guest.h"

#include "guests/lib/vcpu.h"

_Noreturn void atoll_main(const struct hvm_start_info *info); /* called by start.asm */

extern char guest_stack_guard[]; /* start.asm */

static const struct hvm_start_info *start_info;

const char *guest_command_line(void)
{
    if (start_info->cmdline_paddr == 0)
        return "";
    return (const char *)(uintptr_t)start_info->cmdline_paddr;
}

size_t guest_memory_map(const struct hvm_memmap_table_entry **entries)
{
    *entries = NULL;
    if (start_info->version < 1 || start_info->memmap_entries == 0)
        return 0;
    *entries = (const struct hvm_memmap_table_entry *)(uintptr_t)start_info->memmap_paddr;
    return start_info->memmap_entries;
}

uint64_t guest_ram_size(void)
{
    const struct hvm_memmap_table_entry *map;
    size_t count = guest_memory_map(&map);
    uint64_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += map[i].type == XEN_HVM_MEMMAP_TYPE_RAM ? map[i].size : 0;
    return size;
}

uint64_t guest_ram_end(void)
{
    const struct hvm_memmap_table_entry *map;
    size_t count = guest_memory_map(&map);
    uint64_t end = 0;

    for (size_t i = 0; i < count; i++) {
        if (map[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
            end = MAX(end, map[i].addr + map[i].size);
    }
    return end;
}

/* A null pointer faults, unless the hypervisor put something into the first page. */
static void protect_null(void)
{
    if ((uintptr_t)start_info >= PAGE_SIZE && start_info->memmap_paddr >= PAGE_SIZE &&
        (start_info->cmdline_paddr == 0 || start_info->cmdline_paddr >= PAGE_SIZE))
        page_protect(NULL, PAGE_NONE);
}

_Noreturn void guest_exit(int status)
{
    console_flush();
    atoll_exit((uint8_t)status);
}

_Noreturn void atoll_main(const struct hvm_start_info *info)
{
    start_info = info;
    vcpu_init_boot();
    exceptions_init();
    exceptions_load(vcpu_table[0]);
    page_protect(guest_stack_guard, PAGE_NONE);
    protect_null();
    options_init();
    pages_init();
    time_init();
    apic_init();
    interrupts_on();
    guest_exit(main());
}
