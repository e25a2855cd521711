/* SPDX-License-Identifier: MIT */
/* A guest of a few pages with page tables of its own, around the walk over them, which is included:
 * for the unit test and the fuzz target. */
#ifndef TESTS_UNIT_WALK_MODEL_H
#define TESTS_UNIT_WALK_MODEL_H

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#define VMX_VMCS_H /* the VMCS is a few variables here */
#include "kernel/lib/x86_bits.h"
#include "vmx/vmcs_fields.h"
#include "vmx/vmx.h"

#define PAGES 8
#define RAM   (PAGES * PAGE_SIZE)

static struct {
    uint64_t cr0, cr3, cr4, efer;
    uint8_t unreadable; /* bit n: page n cannot be read */
    uint8_t *ram;
} guest;

static uint64_t vmcs_readn(enum vmcs_field_natural field)
{
    return field == VMCS_GUEST_CR0 ? guest.cr0 : field == VMCS_GUEST_CR3 ? guest.cr3 : guest.cr4;
}

static uint64_t vmcs_read64(enum vmcs_field64 field)
{
    if (field != VMCS_GUEST_EFER)
        abort();
    return guest.efer;
}

#include "vmx/guest_walk.c"

int ept_walk(const struct ept *ept, gpa_t address, struct ept_leaf *leaf)
{
    (void)ept;
    if (address.value >= RAM)
        return -ENOENT;
    *leaf = (struct ept_leaf){
        .address = virt_to_phys(guest.ram + address.value),
        .access = guest.unreadable >> (address.value / PAGE_SIZE) & 1 ? EPT_EXECUTE : EPT_RWX,
    };
    return 0;
}

/* Pages of zeroes, in a block of their size: a byte too far is seen. */
static void walk_model_start(void)
{
    guest.ram = calloc(1, RAM);
    if (!guest.ram)
        abort();
}

#endif
