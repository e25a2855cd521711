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
    bool large_leaf[4];  /* by level: bit 7 makes a leaf */
};

static const struct paging ia32e = {4, 9, {false, true, true, false}};
static const struct paging pae = {3, 9, {false, true, false, false}};
static const struct paging legacy = {2, 10, {false, true, false, false}};

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
    return cr4 & CR4_PAE ? &pae : &legacy;
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
    uint64_t table = p == &pae ? cr3 & 0xffffffe0ull : cr3 & PTE_ADDRESS;
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
            *guest = GPA((entry & PTE_ADDRESS & ~(BIT(shift) - 1)) | offset);
            return 0;
        }
        table = entry & PTE_ADDRESS;
    }
    return -EFAULT;
}
