/* SPDX-License-Identifier: MIT */
/* The table of VMCS fields: one row for each row of vmcs_fields.def (SDM Appendix B). */
#include "vmx/vmcs_fields.h"

const struct vmcs_field vmcs_fields[VMCS_FIELDS] = {
#define F16(name, encoding, text)      [INDEX_##name] = {encoding, VMCS_16, text},
#define F32(name, encoding, text)      [INDEX_##name] = {encoding, VMCS_32, text},
#define F64(name, encoding, text)      [INDEX_##name] = {encoding, VMCS_64, text},
#define FNATURAL(name, encoding, text) [INDEX_##name] = {encoding, VMCS_NATURAL, text},
#include "vmx/vmcs_fields.def"
};
