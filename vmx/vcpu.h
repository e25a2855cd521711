/* SPDX-License-Identifier: MIT */
/* What inspect.c and vcpu_start.c need of vcpu.c. */
#ifndef VMX_VCPU_H
#define VMX_VCPU_H

#include "vmx/vmx.h"

_Static_assert(VMX_APIC_SIZE % 64 == 0 && VMX_APIC_SIZE + VMX_FPU_SIZE <= PAGE_SIZE,
               "the FPU area is aligned for XSAVE, and in the page");

static inline uint8_t *vcpu_fpu(const struct vmx_vcpu *vcpu)
{
    return vcpu->apic_page + VMX_APIC_SIZE;
}

/* Brings CR2, DR0 to DR3, DR6 and the MSRs that a vCPU owns up to date in its record. It must be
 * bound to this processor. */
void vcpu_save_registers(struct vmx_vcpu *vcpu);

#endif
