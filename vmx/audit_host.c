/* SPDX-License-Identifier: MIT */
/* The auditor on the host-state area: SDM 26.2.2 to 26.2.4. The host is Atoll: in IA-32e mode. */
#include "vmx/audit_rules.h"

#include "kernel/lib/x86_bits.h"

#define REGISTERS "26.2.2"
#define SEGMENTS  "26.2.3"
#define ADDRESSES "26.2.4"

#define PKRS_DEFINED UINT32_MAX

static void registers(struct audit *audit)
{
    const struct vmx_capabilities *can = audit->capabilities;

    audit_fixed_bits(audit, REGISTERS, INDEX_HOST_CR0, can->cr0_fixed0, can->cr0_fixed1);
    audit_fixed_bits(audit, REGISTERS, INDEX_HOST_CR4, can->cr4_fixed0, can->cr4_fixed1);
    audit_rule(audit, REGISTERS, INDEX_HOST_CR0,
               !(audit_value(audit, INDEX_HOST_CR4) & CR4_CET) ||
                   (audit_value(audit, INDEX_HOST_CR0) & CR0_WP),
               "WP must be 1 with CR4.CET");
    audit_physical_width(audit, REGISTERS, INDEX_HOST_CR3);
    audit_canonical(audit, REGISTERS, INDEX_HOST_SYSENTER_ESP);
    audit_canonical(audit, REGISTERS, INDEX_HOST_SYSENTER_EIP);
    if (audit_exit(audit, EXITC_LOAD_PAT))
        audit_pat(audit, REGISTERS, INDEX_HOST_PAT);
    if (audit_exit(audit, EXITC_LOAD_CET)) {
        audit_canonical(audit, REGISTERS, INDEX_HOST_S_CET);
        audit_canonical(audit, REGISTERS, INDEX_HOST_SSP_TABLE);
    }
    if (audit_exit(audit, EXITC_LOAD_PKRS))
        audit_rule(audit, REGISTERS, INDEX_HOST_PKRS,
                   audit_value(audit, INDEX_HOST_PKRS) <= PKRS_DEFINED, "bits 63:32 must be 0");
}

static void efer(struct audit *audit)
{
    uint64_t value = audit_value(audit, INDEX_HOST_EFER);
    uint64_t long_mode = audit_exit(audit, EXITC_HOST_64BIT) ? EFER_LMA | EFER_LME : 0;

    if (!audit_exit(audit, EXITC_LOAD_EFER))
        return;
    audit_rule(audit, REGISTERS, INDEX_HOST_EFER, !(value & ~EFER_DEFINED),
               "reserved bits must be 0");
    audit_rule(audit, REGISTERS, INDEX_HOST_EFER, (value & (EFER_LMA | EFER_LME)) == long_mode,
               "LMA and LME must each equal \"host address-space size\"");
}

static void segments(struct audit *audit)
{
    static const enum vmcs_index selectors[] = {
        INDEX_HOST_ES_SELECTOR, INDEX_HOST_CS_SELECTOR, INDEX_HOST_SS_SELECTOR,
        INDEX_HOST_DS_SELECTOR, INDEX_HOST_FS_SELECTOR, INDEX_HOST_GS_SELECTOR,
        INDEX_HOST_TR_SELECTOR,
    };
    static const enum vmcs_index bases[] = {
        INDEX_HOST_FS_BASE, INDEX_HOST_GS_BASE, INDEX_HOST_TR_BASE,
        INDEX_HOST_GDTR_BASE, INDEX_HOST_IDTR_BASE,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++)
        audit_rule(audit, SEGMENTS, selectors[i],
                   !(audit_value(audit, selectors[i]) & (SELECTOR_RPL | SELECTOR_TI)),
                   "RPL and TI must be 0");
    audit_rule(audit, SEGMENTS, INDEX_HOST_CS_SELECTOR,
               audit_value(audit, INDEX_HOST_CS_SELECTOR) != 0, "must not be 0");
    audit_rule(audit, SEGMENTS, INDEX_HOST_TR_SELECTOR,
               audit_value(audit, INDEX_HOST_TR_SELECTOR) != 0, "must not be 0");
    audit_rule(audit, SEGMENTS, INDEX_HOST_SS_SELECTOR,
               audit_exit(audit, EXITC_HOST_64BIT) ||
                   audit_value(audit, INDEX_HOST_SS_SELECTOR) != 0,
               "must not be 0 without \"host address-space size\"");
    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++)
        audit_canonical(audit, SEGMENTS, bases[i]);
}

static void address_space(struct audit *audit)
{
    audit_rule(audit, ADDRESSES, INDEX_EXIT_CONTROLS, audit_exit(audit, EXITC_HOST_64BIT),
               "\"host address-space size\" must be 1 in IA-32e mode");
    if (!audit_exit(audit, EXITC_HOST_64BIT))
        return;
    audit_rule(audit, ADDRESSES, INDEX_HOST_CR4, audit_value(audit, INDEX_HOST_CR4) & CR4_PAE,
               "PAE must be 1 with \"host address-space size\"");
    audit_canonical(audit, ADDRESSES, INDEX_HOST_RIP);
}

void audit_host(struct audit *audit)
{
    registers(audit);
    efer(audit);
    segments(audit);
    address_space(audit);
}
