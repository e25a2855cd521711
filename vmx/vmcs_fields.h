/* SPDX-License-Identifier: MIT */
/* The fields of the VMCS, one table in the order of SDM Appendix B (vmcs_fields.def) with encoding,
 * width and name. The width is part of the type: a 16-bit field cannot be read as one of 64. The
 * dumper, the auditor and the accessors use the same table. At the end: the bits of some fields. */
#ifndef VMX_VMCS_FIELDS_H
#define VMX_VMCS_FIELDS_H

#include "kernel/lib/types.h"

#define F16(name, encoding, text)
#define F32(name, encoding, text)
#define F64(name, encoding, text)
#define FNATURAL(name, encoding, text)

enum vmcs_field16 {
#undef F16
#define F16(name, encoding, text) VMCS_##name = encoding,
#include "vmx/vmcs_fields.def"
#undef F16
#define F16(name, encoding, text)
};

enum vmcs_field64 {
#undef F64
#define F64(name, encoding, text) VMCS_##name = encoding,
#include "vmx/vmcs_fields.def"
#undef F64
#define F64(name, encoding, text)
};

enum vmcs_field32 {
#undef F32
#define F32(name, encoding, text) VMCS_##name = encoding,
#include "vmx/vmcs_fields.def"
#undef F32
#define F32(name, encoding, text)
};

enum vmcs_field_natural {
#undef FNATURAL
#define FNATURAL(name, encoding, text) VMCS_##name = encoding,
#include "vmx/vmcs_fields.def"
#undef FNATURAL
};

#undef F16
#undef F32
#undef F64

/* The position of each field in vmcs_fields[]: INDEX_GUEST_RIP, say. */
enum vmcs_index {
#define F16(name, encoding, text) INDEX_##name,
#define F32(name, encoding, text) INDEX_##name,
#define F64(name, encoding, text) INDEX_##name,
#define FNATURAL(name, encoding, text) INDEX_##name,
#include "vmx/vmcs_fields.def"
#undef F16
#undef F32
#undef F64
#undef FNATURAL
    VMCS_FIELDS
};

enum vmcs_width { VMCS_16 = 0, VMCS_64 = 1, VMCS_32 = 2, VMCS_NATURAL = 3 }; /* SDM 24.11.2 */

struct vmcs_field {
    uint16_t encoding;
    uint8_t width;    /* enum vmcs_width */
    const char *name; /* the SDM's name */
};

extern const struct vmcs_field vmcs_fields[VMCS_FIELDS];

/* A VMCS as plain values, in the order of vmcs_fields[]: what the auditor reads. Fields that the
 * processor does not have are 0. */
struct vmcs_image {
    uint64_t value[VMCS_FIELDS];
};

/* Formats of guest-state fields. Access rights of a segment: SDM 24.4.1, Table 24-2. */
#define ACCESS_TYPE(access)  ((unsigned)(access) & 0xf)
#define ACCESS_CONFORMING    (1u << 2) /* of a code segment */
#define ACCESS_TYPE_TSS_BUSY 0xbu /* of 32 bits; in IA-32e mode, which has no other, of 64 */
#define ACCESS_DPL(access)   ((unsigned)(access) >> 5 & 3)
#define ACCESS_L             (1u << 13)
#define ACCESS_UNUSABLE      (1u << 16)

/* Interruptibility state: 24.4.2, Table 24-3. */
#define BLOCKING_STI    (1u << 0)
#define BLOCKING_MOV_SS (1u << 1)
#define BLOCKING_NMI    (1u << 3)

/* Pending debug exceptions: 24.4.2, Table 24-4. */
#define PENDING_BS (1ull << 14)

#endif
