/* SPDX-License-Identifier: MIT */
/* A snapshot of a vCPU: its VMCS field by field, and what lives beside it. What a guest changes
 * without an exit is read where it is, not from the record that the last exit left. */
#include <string.h>

#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "vmx/vcpu.h"
#include "vmx/vmcs.h"

#define APIC_PAGE_TPR 0x80 /* in the virtual-APIC page (SDM 29.1.1) */

_Static_assert(VMX_SNAPSHOT_FIELDS == VMCS_FIELDS, "a snapshot has room for every field");

static void read_fields(struct vmx_snapshot *s)
{
    memset(s->present, 0, sizeof s->present);
    for (unsigned i = 0; i < VMCS_FIELDS; i++) {
        uint64_t value;
        bool fail;
        __asm__ volatile("vmread %2, %0"
                         : "=r"(value), "=@ccbe"(fail)
                         : "r"((uint64_t)vmcs_fields[i].encoding));
        s->field[i] = fail ? 0 : value;
        if (!fail)
            s->present[i / 64] |= BIT(i % 64);
    }
}

/* A control register as the guest reads it: SDM 24.6.6. */
static uint64_t seen(uint64_t real, uint64_t shadow, uint64_t mask)
{
    return (real & ~mask) | (shadow & mask);
}

/* Behind read_fields. Without "unrestricted guest" an identity map stands in for CR3 while the
 * guest has not switched paging on (vmx/modes.c). */
static void read_control_registers(const struct vmx_vcpu *v, struct vmx_snapshot *s)
{
    s->cr0 = seen(s->field[INDEX_GUEST_CR0], s->field[INDEX_CR0_SHADOW], s->field[INDEX_CR0_MASK]);
    s->cr4 = seen(s->field[INDEX_GUEST_CR4], s->field[INDEX_CR4_SHADOW], s->field[INDEX_CR4_MASK]);
    bool identity = !v->unrestricted && !(s->cr0 & CR0_PG);
    s->cr3 = identity ? v->cr3 : s->field[INDEX_GUEST_CR3];
    s->efer = v->unrestricted ? s->field[INDEX_GUEST_EFER] : v->efer;
    s->cr8 = v->apic_page[APIC_PAGE_TPR] >> 4;
}

void vmx_snapshot(struct vmx_vcpu *v, bool bound, struct vmx_snapshot *s)
{
    struct vmcs *before = this_cpu()->vmcs_current;
    vmcs_load(&v->vmcs);
    read_fields(s);
    vmcs_restore(before);

    if (bound)
        vcpu_save_registers(v);
    read_control_registers(v, s);
    memcpy(s->gpr, v->gpr, sizeof s->gpr);
    s->gpr[VMX_RSP] = s->field[INDEX_GUEST_RSP];
    memcpy(s->dr, v->dr, sizeof s->dr);
    s->cr2 = v->cr2;
    s->dr6 = v->dr6;
    s->xcr0 = v->xcr0;
    s->star = v->star;
    s->lstar = v->lstar;
    s->cstar = v->cstar;
    s->fmask = v->fmask;
    s->kernel_gs_base = v->kernel_gs_base;
    s->tsc_aux = v->tsc_aux;
    s->tsc = rdtsc() + v->tsc_offset;
    s->event = v->event;
    s->bound = bound;
    s->complete = v->last_cpu != VMCS_NOT_LOADED;
}
