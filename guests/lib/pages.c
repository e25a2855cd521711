/* SPDX-License-Identifier: MIT */
/* Changes of the guest's page tables (SDM Vol. 3A 4.5). */
#include "guests/lib/guest.h"

#define PTE_PRESENT  BIT(0)
#define PTE_WRITABLE BIT(1)
#define PTE_USER     BIT(2)
#define PTE_NX       BIT(63)

extern uint64_t guest_page_table[512]; /* start.asm */

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
