/* SPDX-License-Identifier: MIT */
/* The guest's CR0, CR3, CR4 and EFER: what it sees, what the processor gets (SDM 23.8, 24.6.6). */
#ifndef VMX_MODES_H
#define VMX_MODES_H

#include "vmx/vmx.h"

/* Where the identity map for unpaged code lies in guests without "unrestricted guest": above any
 * RAM (guest RAM ends at 3 GiB or starts again at 4 GiB), readable only. */
#define IDENTITY_MAP_GPA 0xfffbc000ull

/* The page of that map, made at the first call; NULL when memory is out. */
const void *modes_identity_map(void);

/* Writes CR0, CR3, CR4, EFER, their masks and shadows and the controls that follow from them into
 * the current VMCS, from what the guest sees (vcpu->cr0, cr3, cr4, efer). */
void modes_write(struct vmx_vcpu *vcpu);

#endif
