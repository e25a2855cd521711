/* SPDX-License-Identifier: MIT */
/* The auditor: the checks that VM entry makes on controls, host state and guest state (SDM 26.2 and
 * 26.3), written out over a decoded VMCS. After a failed entry it says which rule is broken, which
 * the processor does not. Pure: unit-tested on the host. */
#ifndef VMX_AUDIT_H
#define VMX_AUDIT_H

#include "vmx/capabilities.h"
#include "vmx/vmcs_fields.h"

/* Called for each broken rule with its SDM section and a line that names the field, its value and
 * what was expected. */
typedef void vmx_audit_report_fn(const char *section, const char *message, void *context);

/* Returns the number of rules broken. */
unsigned vmx_audit_image(const struct vmcs_image *image,
                         const struct vmx_capabilities *capabilities, vmx_audit_report_fn *report,
                         void *context);

#endif
