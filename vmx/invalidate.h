/* SPDX-License-Identifier: MIT */
/* Stale translations, and how to get rid of them. */
#ifndef VMX_INVALIDATE_H
#define VMX_INVALIDATE_H

#include "vmx/vmx.h"

/* The EPT pointer of an EPT (SDM 24.6.11): 4 levels, write-back paging structures. */
uint64_t vmx_ept_pointer(const struct ept *ept);

/* Drops what this processor may still know from an earlier use of this EPT pointer or VPID, or from
 * before a change of the guest's paging (SDM 28.3.3.3), and clears vcpu->flush. */
void vmx_flush(struct vmx_vcpu *vcpu);

#endif
