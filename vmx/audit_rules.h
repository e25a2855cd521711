/* SPDX-License-Identifier: MIT */
/* What the parts of the auditor share: the VMCS under audit, and the shapes that its rules have. */
#ifndef VMX_AUDIT_RULES_H
#define VMX_AUDIT_RULES_H

#include "vmx/audit.h"

struct audit {
    const struct vmcs_image *image;
    const struct vmx_capabilities *capabilities;
    vmx_audit_report_fn *report;
    void *context;
    unsigned broken;
};

static inline uint64_t audit_value(const struct audit *audit, enum vmcs_index field)
{
    return audit->image->value[field];
}

/* Whether a bit of a control word is 1; secondary controls count only when they are activated. */
bool audit_pin(const struct audit *audit, enum vmx_pin bit);
bool audit_processor(const struct audit *audit, enum vmx_processor bit);
bool audit_secondary(const struct audit *audit, enum vmx_secondary bit);
bool audit_exit(const struct audit *audit, enum vmx_exit_control bit);
bool audit_entry(const struct audit *audit, enum vmx_entry_control bit);

/* Reports `field` with its value and what is `expected` of it, unless the rule `holds`. */
void audit_rule(struct audit *audit, const char *section, enum vmcs_index field, bool holds,
                const char *expected);

/* Each bit of `field` that is in `must_be_1` and not set, or set and not in `may_be_1`. */
void audit_fixed_bits(struct audit *audit, const char *section, enum vmcs_index field,
                      uint64_t must_be_1, uint64_t may_be_1);

/* A control word against its capability MSR: the bits are named. */
void audit_control_word(struct audit *audit, const char *section, enum vmcs_index field,
                        enum vmx_control_word word);

/* The physical address of a structure of `alignment` bytes that the processor reads. */
void audit_address(struct audit *audit, const char *section, enum vmcs_index field,
                   uint64_t alignment);

/* An MSR area of `count` entries, if it has any. */
void audit_msr_area(struct audit *audit, const char *section, enum vmcs_index address,
                    enum vmcs_index count);

void audit_canonical(struct audit *audit, const char *section, enum vmcs_index field);
void audit_pat(struct audit *audit, const char *section, enum vmcs_index field);

/* No bits beyond the physical-address width. */
void audit_physical_width(struct audit *audit, const char *section, enum vmcs_index field);

bool audit_is_canonical(const struct audit *audit, uint64_t address);

/* Bits 1:0 are the requested privilege level of a selector, bit 2 its table indicator. */
#define SELECTOR_RPL 3u
#define SELECTOR_TI  4u

/* ---- The VM-entry interruption-information field: SDM 24.8.3 --------------------------------- */

/* The event that the entry injects, if it injects one. */
static inline bool audit_injects(const struct audit *audit, enum event_type *type,
                                 unsigned *vector)
{
    uint32_t info = (uint32_t)audit_value(audit, INDEX_ENTRY_INTERRUPTION_INFO);
    *type = INFO_TYPE(info);
    *vector = info & INFO_VECTOR;
    return info & INFO_VALID;
}

/* ---- The parts ------------------------------------------------------------------------------- */

void audit_controls(struct audit *audit);       /* SDM 26.2.1 */
void audit_host(struct audit *audit);           /* SDM 26.2.2 to 26.2.4 */
void audit_guest(struct audit *audit);          /* SDM 26.3.1.1, 26.3.1.3 to 26.3.1.6 */
void audit_guest_segments(struct audit *audit); /* SDM 26.3.1.2 */

#endif
