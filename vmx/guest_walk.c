/* SPDX-License-Identifier: MIT */
/* The guest's own page tables, walked for a linear address (SDM Vol. 3A, chapter 4): needed only to
 * show the bytes at RIP. Reads go through EPT; nothing of the guest is trusted or written. */
#include <linux/errno.h>

#include "kernel/lib/x86_bits.h"
#include "kernel/mm/phys.h"
#include "vmx/vmcs.h"

struct paging {
    unsigned levels;     /* 4 (IA-32e), 3 (PAE), 2 (32-bit) */
    unsigned index_bits; /* 9, or 10 for 32-bit paging */
    uint64_t root;       /* bits of CR3 that are the first table's address */
    bool large_leaf[4];  /* by level: bit 7 makes a leaf */
};

static const struct paging ia32e = {4, 9, PTE_ADDRESS, {false, true, true, false}};
static const struct paging pae = {3, 9, 0xffffffe0, {false, true, false, false}};
static const struct paging legacy = {2, 10, 0xfffff000, {false, true, false, false}};
static const struct paging legacy_small = {2, 10, 0xfffff000, {false}}; /* without CR4.PSE */

static int read_entry(const struct vmx_vcpu *v, uint64_t address, bool wide, uint64_t *entry)
{
    struct ept_leaf leaf;
    if (ept_walk(v->ept, GPA(address), &leaf) || !(leaf.access & EPT_READ))
        return -EFAULT;
    const void *pointer = phys_to_virt(leaf.address);
    *entry = wide ? *(const volatile uint64_t *)pointer : *(const volatile uint32_t *)pointer;
    return 0;
}

static const struct paging *paging_of(uint64_t cr4, uint64_t efer)
{
    if (efer & EFER_LMA)
        return &ia32e;
    if (cr4 & CR4_PAE)
        return &pae;
    return cr4 & CR4_PSE ? &legacy : &legacy_small;
}

/* What a leaf of `shift` address bits maps. The 4 MiB page of 32-bit paging has bits 39:32 of its
 * address in bits 20:13 (table 4-4). */
static uint64_t page_address(const struct paging *p, uint64_t entry, unsigned shift)
{
    uint64_t high = p == &legacy && shift > PAGE_SHIFT ? (entry >> 13 & 0xff) << 32 : 0;
    return high | (entry & PTE_ADDRESS & ~(BIT(shift) - 1));
}

int vmx_translate(const struct vmx_vcpu *v, uint64_t linear, gpa_t *guest)
{
    uint64_t cr0 = vmcs_readn(VMCS_GUEST_CR0), cr3 = vmcs_readn(VMCS_GUEST_CR3);
    if (!(cr0 & CR0_PG) || (!v->unrestricted && !(v->cr0 & CR0_PG))) {
        *guest = GPA((uint32_t)linear);
        return 0;
    }
    uint64_t efer = vmcs_read64(VMCS_GUEST_EFER);
    const struct paging *p = paging_of(vmcs_readn(VMCS_GUEST_CR4), efer);
    bool wide = p->index_bits == 9;
    uint64_t table = cr3 & p->root;
    if (p != &ia32e)
        linear = (uint32_t)linear;

    for (unsigned level = p->levels; level-- > 0;) {
        unsigned shift = PAGE_SHIFT + p->index_bits * level;
        uint64_t index = linear >> shift & (BIT(p->index_bits) - 1);
        uint64_t entry;
        if (read_entry(v, table + index * (wide ? 8 : 4), wide, &entry) || !(entry & PTE_PRESENT))
            return -EFAULT;
        if (level == 0 || (p->large_leaf[level] && (entry & PTE_LARGE))) {
            uint64_t offset = linear & (BIT(shift) - 1);
            *guest = GPA(page_address(p, entry, shift) | offset);
            return 0;
        }
        table = entry & PTE_ADDRESS;
    }
    return -EFAULT;
}
