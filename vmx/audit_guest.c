/* SPDX-License-Identifier: MIT */
/* The auditor on the guest-state area but for the segments: SDM 26.3.1.1 and 26.3.1.3 to 26.3.1.6.
 * Rules that need memory (the shadow VMCS, PDPTEs without EPT) are not checked. */
#include "vmx/audit_rules.h"

#include "kernel/lib/x86_bits.h"

#define REGISTERS         "26.3.1.1"
#define DESCRIPTOR_TABLES "26.3.1.3"
#define RIP_RFLAGS        "26.3.1.4"
#define NON_REGISTER      "26.3.1.5"
#define PDPTES            "26.3.1.6"

#define HIGH_HALF 0xffffffff00000000ull /* bits 63:32 */

/* ---- 26.3.1.1 Control registers, debug registers, MSRs --------------------------------------- */

static void control_registers(struct audit *audit)
{
    const struct vmx_capabilities *can = audit->capabilities;
    uint64_t cr0 = audit_value(audit, INDEX_GUEST_CR0), cr4 = audit_value(audit, INDEX_GUEST_CR4);
    uint64_t free_bits = audit_secondary(audit, SEC_UNRESTRICTED_GUEST) ? CR0_PE | CR0_PG : 0;
    bool long_mode = audit_entry(audit, ENTRYC_IA32E_GUEST);

    audit_fixed_bits(audit, REGISTERS, INDEX_GUEST_CR0, can->cr0_fixed0 & ~free_bits,
                     can->cr0_fixed1 | free_bits);
    audit_fixed_bits(audit, REGISTERS, INDEX_GUEST_CR4, can->cr4_fixed0, can->cr4_fixed1);
    audit_rule(audit, REGISTERS, INDEX_GUEST_CR0, !(cr0 & CR0_PG) || (cr0 & CR0_PE),
               "PG needs PE");
    audit_rule(audit, REGISTERS, INDEX_GUEST_CR0, !(cr4 & CR4_CET) || (cr0 & CR0_WP),
               "WP must be 1 with CR4.CET");
    audit_rule(audit, REGISTERS, INDEX_GUEST_CR0, !long_mode || (cr0 & CR0_PG),
               "PG must be 1 with \"IA-32e mode guest\"");
    audit_rule(audit, REGISTERS, INDEX_GUEST_CR4, !long_mode || (cr4 & CR4_PAE),
               "PAE must be 1 with \"IA-32e mode guest\"");
    audit_rule(audit, REGISTERS, INDEX_GUEST_CR4, long_mode || !(cr4 & CR4_PCIDE),
               "PCIDE must be 0 without \"IA-32e mode guest\"");
    audit_physical_width(audit, REGISTERS, INDEX_GUEST_CR3);
}

/* IA32_DEBUGCTL bits 5:3 and 63:16 (SDM Vol. 4). */
#define DEBUGCTL_RESERVED (~0xffffull | 0x38ull)
#define DEBUGCTL_BTF      BIT(1)

static void debug_registers(struct audit *audit)
{
    if (!audit_entry(audit, ENTRYC_LOAD_DEBUG))
        return;
    audit_rule(audit, REGISTERS, INDEX_GUEST_DEBUGCTL,
               !(audit_value(audit, INDEX_GUEST_DEBUGCTL) & DEBUGCTL_RESERVED),
               "reserved bits must be 0");
    audit_rule(audit, REGISTERS, INDEX_GUEST_DR7,
               !(audit_value(audit, INDEX_GUEST_DR7) & HIGH_HALF), "bits 63:32 must be 0");
}

static void efer(struct audit *audit)
{
    uint64_t value = audit_value(audit, INDEX_GUEST_EFER);
    bool lma = value & EFER_LMA, lme = value & EFER_LME;

    if (!audit_entry(audit, ENTRYC_LOAD_EFER))
        return;
    audit_rule(audit, REGISTERS, INDEX_GUEST_EFER, !(value & ~EFER_DEFINED),
               "reserved bits must be 0");
    audit_rule(audit, REGISTERS, INDEX_GUEST_EFER, lma == audit_entry(audit, ENTRYC_IA32E_GUEST),
               "LMA must equal \"IA-32e mode guest\"");
    audit_rule(audit, REGISTERS, INDEX_GUEST_EFER,
               lma == lme || !(audit_value(audit, INDEX_GUEST_CR0) & CR0_PG),
               "LMA must equal LME with CR0.PG");
}

#define BNDCFGS_RESERVED  0xffcull /* bits 11:2 */
#define BNDCFGS_BASE_MASK (~PAGE_MASK)

static void other_msrs(struct audit *audit)
{
    uint64_t bndcfgs = audit_value(audit, INDEX_GUEST_BNDCFGS);

    audit_canonical(audit, REGISTERS, INDEX_GUEST_SYSENTER_ESP);
    audit_canonical(audit, REGISTERS, INDEX_GUEST_SYSENTER_EIP);
    if (audit_entry(audit, ENTRYC_LOAD_PAT))
        audit_pat(audit, REGISTERS, INDEX_GUEST_PAT);
    if (audit_entry(audit, ENTRYC_LOAD_BNDCFGS)) {
        audit_rule(audit, REGISTERS, INDEX_GUEST_BNDCFGS, !(bndcfgs & BNDCFGS_RESERVED),
                   "reserved bits 11:2 must be 0");
        audit_rule(audit, REGISTERS, INDEX_GUEST_BNDCFGS,
                   audit_is_canonical(audit, bndcfgs & BNDCFGS_BASE_MASK),
                   "the base must be a canonical address");
    }
    if (audit_entry(audit, ENTRYC_LOAD_CET)) {
        audit_canonical(audit, REGISTERS, INDEX_GUEST_S_CET);
        audit_canonical(audit, REGISTERS, INDEX_GUEST_SSP_TABLE);
    }
    if (audit_entry(audit, ENTRYC_LOAD_PKRS))
        audit_rule(audit, REGISTERS, INDEX_GUEST_PKRS,
                   !(audit_value(audit, INDEX_GUEST_PKRS) & HIGH_HALF), "bits 63:32 must be 0");
}

/* ---- 26.3.1.3 GDTR and IDTR ------------------------------------------------------------------ */

static void descriptor_tables(struct audit *audit)
{
    static const enum vmcs_index limits[] = {INDEX_GUEST_GDTR_LIMIT, INDEX_GUEST_IDTR_LIMIT};

    audit_canonical(audit, DESCRIPTOR_TABLES, INDEX_GUEST_GDTR_BASE);
    audit_canonical(audit, DESCRIPTOR_TABLES, INDEX_GUEST_IDTR_BASE);
    for (unsigned i = 0; i < ARRAY_SIZE(limits); i++)
        audit_rule(audit, DESCRIPTOR_TABLES, limits[i],
                   audit_value(audit, limits[i]) <= UINT16_MAX, "bits 31:16 must be 0");
}

/* ---- 26.3.1.4 RIP and RFLAGS ----------------------------------------------------------------- */

/* Bits 63:22, 15, 5 and 3. */
#define RFLAGS_RESERVED (~0x3fffffull | BIT(15) | BIT(5) | BIT(3))

static void rip_and_rflags(struct audit *audit)
{
    uint64_t rip = audit_value(audit, INDEX_GUEST_RIP);
    uint64_t rflags = audit_value(audit, INDEX_GUEST_RFLAGS);
    bool long_mode = audit_entry(audit, ENTRYC_IA32E_GUEST);
    enum event_type type;
    unsigned vector;
    bool injects = audit_injects(audit, &type, &vector);

    if (long_mode && (audit_value(audit, INDEX_GUEST_CS_ACCESS) & ACCESS_L))
        audit_canonical(audit, RIP_RFLAGS, INDEX_GUEST_RIP);
    else
        audit_rule(audit, RIP_RFLAGS, INDEX_GUEST_RIP, !(rip & HIGH_HALF),
                   "bits 63:32 must be 0 outside 64-bit mode");
    audit_rule(audit, RIP_RFLAGS, INDEX_GUEST_RFLAGS, !(rflags & RFLAGS_RESERVED),
               "reserved bits 63:22, 15, 5 and 3 must be 0");
    audit_rule(audit, RIP_RFLAGS, INDEX_GUEST_RFLAGS, rflags & RFLAGS_FIXED,
               "reserved bit 1 must be 1");
    audit_rule(audit, RIP_RFLAGS, INDEX_GUEST_RFLAGS,
               !(rflags & RFLAGS_VM) ||
                   (!long_mode && (audit_value(audit, INDEX_GUEST_CR0) & CR0_PE)),
               "VM must be 0 with \"IA-32e mode guest\" or without CR0.PE");
    audit_rule(audit, RIP_RFLAGS, INDEX_GUEST_RFLAGS,
               !(injects && type == EVENT_EXTERNAL_INTERRUPT) || (rflags & RFLAGS_IF),
               "IF must be 1 when an external interrupt is injected");
}

/* ---- 26.3.1.5 Non-register state ------------------------------------------------------------- */

enum activity { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI };

#define BLOCKING_SMI             BIT(2)
#define ENCLAVE_INTERRUPTION     BIT(4)
#define INTERRUPTIBILITY_DEFINED 0x1full

/* Whether an event can be injected in an activity state that is not active. */
static bool wakes(enum activity activity, enum event_type type, unsigned vector)
{
    bool machine_check = type == EVENT_HARDWARE_EXCEPTION && vector == EXCEPTION_MC;

    switch (activity) {
    case ACTIVITY_HLT:
        return type == EVENT_EXTERNAL_INTERRUPT || type == EVENT_NMI || machine_check ||
               (type == EVENT_HARDWARE_EXCEPTION && vector == EXCEPTION_DB) ||
               (type == EVENT_OTHER && vector == 0);
    case ACTIVITY_SHUTDOWN:
        return type == EVENT_NMI || machine_check;
    case ACTIVITY_WAIT_SIPI:
        return false;
    default:
        return true;
    }
}

static void activity_state(struct audit *audit)
{
    static const uint64_t supported[] = {
        [ACTIVITY_HLT] = MISC_ACTIVITY_HLT,
        [ACTIVITY_SHUTDOWN] = MISC_ACTIVITY_SHUTDOWN,
        [ACTIVITY_WAIT_SIPI] = MISC_ACTIVITY_WAIT_SIPI,
    };
    uint64_t activity = audit_value(audit, INDEX_GUEST_ACTIVITY);
    uint64_t blocking = audit_value(audit, INDEX_GUEST_INTERRUPTIBILITY);
    enum event_type type;
    unsigned vector;

    if (activity == ACTIVITY_ACTIVE)
        return;
    bool known = activity < ARRAY_SIZE(supported);
    audit_rule(audit, NON_REGISTER, INDEX_GUEST_ACTIVITY,
               known && (audit->capabilities->misc & supported[activity]),
               "must be a state that IA32_VMX_MISC allows");
    audit_rule(audit, NON_REGISTER, INDEX_GUEST_ACTIVITY,
               activity != ACTIVITY_HLT ||
                   ACCESS_DPL(audit_value(audit, INDEX_GUEST_SS_ACCESS)) == 0,
               "must not be HLT unless the DPL of SS is 0");
    audit_rule(audit, NON_REGISTER, INDEX_GUEST_ACTIVITY,
               !(blocking & (BLOCKING_STI | BLOCKING_MOV_SS)),
               "must be active while STI or MOV SS blocks events");
    if (known && audit_injects(audit, &type, &vector))
        audit_rule(audit, NON_REGISTER, INDEX_GUEST_ACTIVITY, wakes(activity, type, vector),
                   "the injected event is blocked in this state");
}

static void interruptibility_state(struct audit *audit)
{
    uint64_t blocking = audit_value(audit, INDEX_GUEST_INTERRUPTIBILITY);
    bool sti = blocking & BLOCKING_STI, mov_ss = blocking & BLOCKING_MOV_SS;
    enum event_type type;
    unsigned vector;
    bool injects = audit_injects(audit, &type, &vector);
    bool interrupt = injects && type == EVENT_EXTERNAL_INTERRUPT;
    bool nmi = injects && type == EVENT_NMI;

    const struct {
        bool holds;
        const char *expected;
    } rules[] = {
        {!(blocking & ~INTERRUPTIBILITY_DEFINED), "reserved bits 31:5 must be 0"},
        {!(sti && mov_ss), "STI and MOV SS cannot both block"},
        {!sti || (audit_value(audit, INDEX_GUEST_RFLAGS) & RFLAGS_IF),
         "blocking by STI needs RFLAGS.IF"},
        {!interrupt || !(sti || mov_ss),
         "no blocking by STI or MOV SS when an external interrupt is injected"},
        {!nmi || !mov_ss, "no blocking by MOV SS when an NMI is injected"},
        {!(blocking & BLOCKING_SMI), "no blocking by SMI outside SMM"},
        {!nmi || !(blocking & BLOCKING_NMI) || !audit_pin(audit, PIN_VIRTUAL_NMIS),
         "no blocking by NMI when an NMI is injected with \"virtual NMIs\""},
        {!(blocking & ENCLAVE_INTERRUPTION) || !mov_ss,
         "no blocking by MOV SS with an enclave interruption"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        audit_rule(audit, NON_REGISTER, INDEX_GUEST_INTERRUPTIBILITY, rules[i].holds,
                   rules[i].expected);
}

#define PENDING_ENABLED  BIT(12)
#define PENDING_RTM      BIT(16)
/* Bits 11:4, 13, 15 and 63:17; with RTM also 3:0 and 14. */
#define PENDING_RESERVED     (~0x1ffffull | 0xff0ull | BIT(13) | BIT(15))
#define PENDING_RESERVED_RTM (PENDING_RESERVED | 0xfull | PENDING_BS)

static void pending_debug_exceptions(struct audit *audit)
{
    uint64_t pending = audit_value(audit, INDEX_GUEST_PENDING_DEBUG);
    uint64_t blocking = audit_value(audit, INDEX_GUEST_INTERRUPTIBILITY);
    bool single_step = (audit_value(audit, INDEX_GUEST_RFLAGS) & RFLAGS_TF) &&
                       !(audit_value(audit, INDEX_GUEST_DEBUGCTL) & DEBUGCTL_BTF);
    bool held = (blocking & (BLOCKING_STI | BLOCKING_MOV_SS)) ||
                audit_value(audit, INDEX_GUEST_ACTIVITY) == ACTIVITY_HLT;

    audit_rule(audit, NON_REGISTER, INDEX_GUEST_PENDING_DEBUG, !(pending & PENDING_RESERVED),
               "reserved bits 63:17, 15, 13 and 11:4 must be 0");
    if (held)
        audit_rule(audit, NON_REGISTER, INDEX_GUEST_PENDING_DEBUG,
                   single_step == !!(pending & PENDING_BS),
                   single_step ? "BS must be 1: RFLAGS.TF is 1 and IA32_DEBUGCTL.BTF is 0"
                               : "BS must be 0: RFLAGS.TF is 0 or IA32_DEBUGCTL.BTF is 1");
    if (!(pending & PENDING_RTM))
        return;
    audit_rule(audit, NON_REGISTER, INDEX_GUEST_PENDING_DEBUG,
               !(pending & PENDING_RESERVED_RTM) && (pending & PENDING_ENABLED),
               "with RTM bit 12 must be 1 and all others 0");
    audit_rule(audit, NON_REGISTER, INDEX_GUEST_PENDING_DEBUG, !(blocking & BLOCKING_MOV_SS),
               "RTM must be 0 while MOV SS blocks events");
}

static void link_pointer(struct audit *audit)
{
    if (audit_value(audit, INDEX_VMCS_LINK_POINTER) != UINT64_MAX)
        audit_address(audit, NON_REGISTER, INDEX_VMCS_LINK_POINTER, PAGE_SIZE);
}

/* ---- 26.3.1.6 PDPTEs: SDM Vol. 3A, Table 4-8 ------------------------------------------------- */

static void pdptes(struct audit *audit)
{
    bool pae_paging = (audit_value(audit, INDEX_GUEST_CR0) & CR0_PG) &&
                      (audit_value(audit, INDEX_GUEST_CR4) & CR4_PAE) &&
                      !audit_entry(audit, ENTRYC_IA32E_GUEST);

    if (!pae_paging || !audit_secondary(audit, SEC_EPT))
        return;
    for (enum vmcs_index i = INDEX_GUEST_PDPTE0; i <= INDEX_GUEST_PDPTE3; i++) {
        uint64_t pdpte = audit_value(audit, i);
        if (!(pdpte & PTE_PRESENT))
            continue;
        audit_rule(audit, PDPTES, i, !(pdpte & PDPTE_RESERVED),
                   "reserved bits 8:5 and 2:1 must be 0");
        audit_physical_width(audit, PDPTES, i);
    }
}

void audit_guest(struct audit *audit)
{
    control_registers(audit);
    debug_registers(audit);
    efer(audit);
    other_msrs(audit);
    descriptor_tables(audit);
    rip_and_rflags(audit);
    activity_state(audit);
    interruptibility_state(audit);
    pending_debug_exceptions(audit);
    link_pointer(audit);
    pdptes(audit);
}
