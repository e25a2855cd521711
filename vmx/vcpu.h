/* SPDX-License-Identifier: MIT */
/* What inspect.c needs of vcpu.c. */
#ifndef VMX_VCPU_H
#define VMX_VCPU_H

#include "vmx/vmx.h"

/* Brings CR2, DR0 to DR3, DR6 and the MSRs that a vCPU owns up to date in its record. It must be
 * bound to this processor. */
void vcpu_save_registers(struct vmx_vcpu *vcpu);

#endif
