/* SPDX-License-Identifier: MIT */
/* What the files of vmx/ know of the processors: the capabilities that all enabled ones share. */
#ifndef VMX_PROCESSOR_H
#define VMX_PROCESSOR_H

#include "vmx/capabilities.h"

/* The intersection over all enabled processors: a VMCS made from it works on each. */
extern struct vmx_capabilities vmx_common;
extern struct vmx_features vmx_common_features;

/* The steps of vmx_cpu_enable that the tour takes one by one. */
bool vmx_supported(void);
MUST_CHECK int vmx_feature_control(char error[VMX_ERROR_MAX]);
void vmx_fix_control_registers(const struct vmx_capabilities *capabilities);

/* VMXON with any region. Returns 0 (VMsucceed), 1 (VMfailInvalid), 2 (VMfailValid), or FAULTED |
 * vector when it faulted. */
uint32_t vmxon(uint64_t region);

/* The machine's A20 gate (port 0x92, "fast A20"). */
bool a20_is_on(void);
void a20_set(bool on);

#endif
