/* SPDX-License-Identifier: MIT */
/* Any page tables of a guest: a linear address is found where a walk finds it that is written out
 * for each paging mode by itself (SDM Vol. 3A, 4.3 to 4.5), and only mapped pages are read. An
 * input is registers and an address, then words of the guest's pages. */
#include "tests/fuzz/input.h"

#include "tests/unit/walk_model.h"

#define NOT_FOUND UINT64_MAX

/* An entry of a table; 0, which is not present, where there is none. */
static uint64_t entry_at(uint64_t address, size_t size)
{
    uint64_t entry = 0;

    if (address < RAM && !(guest.unreadable >> (address / PAGE_SIZE) & 1))
        memcpy(&entry, guest.ram + address, size);
    return entry & 1 ? entry : 0;
}

static uint64_t walk_32bit(uint32_t linear)
{
    uint64_t pde = entry_at((guest.cr3 & 0xfffff000) + 4 * (linear >> 22), 4);
    if (!pde)
        return NOT_FOUND;
    if (pde & 0x80 && guest.cr4 & CR4_PSE)
        return (pde & 0xffc00000) | (pde >> 13 & 0xff) << 32 | (linear & 0x3fffff);
    uint64_t pte = entry_at((pde & 0xfffff000) + 4 * (linear >> 12 & 0x3ff), 4);
    return pte ? (pte & 0xfffff000) | (linear & 0xfff) : NOT_FOUND;
}

/* From a page directory on, which IA-32e and PAE paging have in common. */
static uint64_t walk_directory(uint64_t directory, uint64_t linear)
{
    uint64_t pde = entry_at(directory + 8 * (linear >> 21 & 0x1ff), 8);
    if (!pde)
        return NOT_FOUND;
    if (pde & 0x80)
        return (pde & 0xfffffffe00000) | (linear & 0x1fffff);
    uint64_t pte = entry_at((pde & 0xffffffffff000) + 8 * (linear >> 12 & 0x1ff), 8);
    return pte ? (pte & 0xffffffffff000) | (linear & 0xfff) : NOT_FOUND;
}

static uint64_t walk_pae(uint32_t linear)
{
    uint64_t pdpte = entry_at((guest.cr3 & 0xffffffe0) + 8 * (linear >> 30), 8);

    return pdpte ? walk_directory(pdpte & 0xffffffffff000, linear) : NOT_FOUND;
}

static uint64_t walk_long(uint64_t linear)
{
    uint64_t pml4e = entry_at((guest.cr3 & 0xffffffffff000) + 8 * (linear >> 39 & 0x1ff), 8);
    if (!pml4e)
        return NOT_FOUND;
    uint64_t pdpte = entry_at((pml4e & 0xffffffffff000) + 8 * (linear >> 30 & 0x1ff), 8);
    if (!pdpte)
        return NOT_FOUND;
    if (pdpte & 0x80)
        return (pdpte & 0xfffffc0000000) | (linear & 0x3fffffff);
    return walk_directory(pdpte & 0xffffffffff000, linear);
}

static uint64_t walk(uint64_t linear)
{
    if (!(guest.cr0 & CR0_PG))
        return (uint32_t)linear;
    if (guest.efer & EFER_LMA)
        return walk_long(linear);
    return guest.cr4 & CR4_PAE ? walk_pae((uint32_t)linear) : walk_32bit((uint32_t)linear);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct vmx_vcpu vcpu = {.unrestricted = true};
    uint8_t mode = (uint8_t)draw(&input, 1);
    gpa_t found = {NOT_FOUND};

    guest.cr0 = mode & 1 ? 0 : CR0_PG;
    guest.efer = mode & 2 ? EFER_LMA : 0;
    guest.cr4 = (mode & 4 ? CR4_PAE : 0) | (mode & 8 ? CR4_PSE : 0);
    guest.unreadable = (uint8_t)draw(&input, 1);
    guest.cr3 = draw(&input, 2) | draw(&input, 1) << 48;
    walk_model_start();
    uint64_t linear = draw(&input, 8);
    while (input.left > 0) {
        uint64_t at = draw(&input, 2) % (RAM / 8), entry = draw(&input, 3) | draw(&input, 1) << 32;
        memcpy(guest.ram + 8 * at, &entry, 8);
    }
    int result = vmx_translate(&vcpu, linear, &found);
    require(result == 0 || result == -EFAULT, "a result of its own");
    require((result == 0 ? found.value : NOT_FOUND) == walk(linear), "another address");
    free(guest.ram);
    return 0;
}
