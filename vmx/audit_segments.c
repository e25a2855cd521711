/* SPDX-License-Identifier: MIT */
/* The auditor on the guest's segment registers: SDM 26.3.1.2, in virtual-8086 mode and outside it,
 * with "unrestricted guest" and without. */
#include "vmx/audit_rules.h"

#include "kernel/lib/x86_bits.h"

#define SEGMENTS "26.3.1.2"

/* Further bits of the access-rights field: SDM 24.4.1, Table 24-2. */
#define ACCESS_S            BIT(4)
#define ACCESS_P            BIT(7)
#define ACCESS_DB           BIT(14)
#define ACCESS_G            BIT(15)
#define ACCESS_RESERVED     0xfffe0f00u /* bits 31:17 and 11:8 */
#define ACCESS_VIRTUAL_8086 0xf3u       /* read/write, accessed, DPL 3, present */

enum segment_type {
    TYPE_ACCESSED = 1,
    TYPE_READABLE = 2, /* of a code segment */
    TYPE_CODE = 8,

    TYPE_LDT = 2,
    TYPE_TSS16_BUSY = 3,
    TYPE_DATA_RW = 3,        /* read/write, accessed */
    TYPE_DATA_RW_DOWN = 7,   /* the same, expand-down */
    TYPE_CODE_X = 9,         /* execute-only, accessed */
    TYPE_CODE_RX = 11,       /* execute/read, accessed */
    TYPE_CODE_X_CONFORMING = 13,
    TYPE_CODE_RX_CONFORMING = 15,
};

/* In the order of the fields in the VMCS. */
enum segment { ES, CS, SS, DS, FS, GS, LDTR, TR };

struct segment_fields {
    enum vmcs_index selector, base, limit, access;
};

static struct segment_fields fields_of(enum segment segment)
{
    return (struct segment_fields){
        .selector = INDEX_GUEST_ES_SELECTOR + segment,
        .base = INDEX_GUEST_ES_BASE + segment,
        .limit = INDEX_GUEST_ES_LIMIT + segment,
        .access = INDEX_GUEST_ES_ACCESS + segment,
    };
}

static uint64_t access_of(const struct audit *audit, enum segment segment)
{
    return audit_value(audit, fields_of(segment).access);
}

static uint64_t selector_of(const struct audit *audit, enum segment segment)
{
    return audit_value(audit, fields_of(segment).selector);
}

static bool usable(const struct audit *audit, enum segment segment)
{
    return !(access_of(audit, segment) & ACCESS_UNUSABLE);
}

static bool virtual_8086(const struct audit *audit)
{
    return audit_value(audit, INDEX_GUEST_RFLAGS) & RFLAGS_VM;
}

static bool unrestricted(const struct audit *audit)
{
    return audit_secondary(audit, SEC_UNRESTRICTED_GUEST);
}

static void access_rule(struct audit *audit, enum segment segment, bool holds,
                        const char *expected)
{
    audit_rule(audit, SEGMENTS, fields_of(segment).access, holds, expected);
}

/* ---- Selectors and bases --------------------------------------------------------------------- */

static void selectors(struct audit *audit)
{
    audit_rule(audit, SEGMENTS, INDEX_GUEST_TR_SELECTOR, !(selector_of(audit, TR) & SELECTOR_TI),
               "TI must be 0");
    audit_rule(audit, SEGMENTS, INDEX_GUEST_LDTR_SELECTOR,
               !usable(audit, LDTR) || !(selector_of(audit, LDTR) & SELECTOR_TI), "TI must be 0");
    audit_rule(audit, SEGMENTS, INDEX_GUEST_SS_SELECTOR,
               virtual_8086(audit) || unrestricted(audit) ||
                   (selector_of(audit, SS) & SELECTOR_RPL) ==
                       (selector_of(audit, CS) & SELECTOR_RPL),
               "the RPL must be that of CS");
}

static void bases(struct audit *audit)
{
    static const enum segment low[] = {ES, CS, SS, DS};

    audit_canonical(audit, SEGMENTS, INDEX_GUEST_TR_BASE);
    audit_canonical(audit, SEGMENTS, INDEX_GUEST_FS_BASE);
    audit_canonical(audit, SEGMENTS, INDEX_GUEST_GS_BASE);
    if (usable(audit, LDTR))
        audit_canonical(audit, SEGMENTS, INDEX_GUEST_LDTR_BASE);
    for (unsigned i = 0; i < ARRAY_SIZE(low); i++) {
        enum vmcs_index base = fields_of(low[i]).base;
        audit_rule(audit, SEGMENTS, base,
                   (low[i] != CS && !usable(audit, low[i])) ||
                       audit_value(audit, base) <= UINT32_MAX,
                   "bits 63:32 must be 0");
    }
}

/* ---- Virtual-8086 mode ----------------------------------------------------------------------- */

static void virtual_8086_segment(struct audit *audit, enum segment segment)
{
    const uint64_t limit = 0xffff;
    struct segment_fields fields = fields_of(segment);

    audit_rule(audit, SEGMENTS, fields.base,
               audit_value(audit, fields.base) == audit_value(audit, fields.selector) << 4,
               "must be the selector times 16 in virtual-8086 mode");
    audit_rule(audit, SEGMENTS, fields.limit, audit_value(audit, fields.limit) == limit,
               "must be 0xffff in virtual-8086 mode");
    access_rule(audit, segment, audit_value(audit, fields.access) == ACCESS_VIRTUAL_8086,
                "must be 0xf3 in virtual-8086 mode");
}

/* ---- Access rights outside virtual-8086 mode ------------------------------------------------- */

/* G can be 1 only if bits 11:0 of the limit are 1, and 0 only if bits 31:20 are 0. */
static void granularity(struct audit *audit, enum segment segment)
{
    const uint64_t low = 0xfff, high = 0xfff00000;
    uint64_t limit = audit_value(audit, fields_of(segment).limit);
    bool pages = access_of(audit, segment) & ACCESS_G;

    access_rule(audit, segment, !pages || (limit & low) == low,
                "G must be 0: bits 11:0 of the limit are not all 1");
    access_rule(audit, segment, pages || !(limit & high),
                "G must be 1: bits 31:20 of the limit are not all 0");
}

/* What every segment in use has, of code and data (`s`) or of the system. */
static void common_access(struct audit *audit, enum segment segment, bool s)
{
    uint64_t access = access_of(audit, segment);

    access_rule(audit, segment, s == !!(access & ACCESS_S), s ? "S must be 1" : "S must be 0");
    access_rule(audit, segment, access & ACCESS_P, "P must be 1");
    access_rule(audit, segment, !(access & ACCESS_RESERVED),
                "reserved bits 31:17 and 11:8 must be 0");
    granularity(audit, segment);
}

static void code_segment(struct audit *audit)
{
    uint64_t access = access_of(audit, CS);
    unsigned type = ACCESS_TYPE(access), dpl = ACCESS_DPL(access);
    unsigned ss_dpl = ACCESS_DPL(access_of(audit, SS));
    bool flat = type == TYPE_CODE_X || type == TYPE_CODE_RX;
    bool conforming = type == TYPE_CODE_X_CONFORMING || type == TYPE_CODE_RX_CONFORMING;
    bool data = type == TYPE_DATA_RW && unrestricted(audit);

    access_rule(audit, CS, flat || conforming || data,
                unrestricted(audit) ? "the type must be 3, 9, 11, 13 or 15"
                                    : "the type must be 9, 11, 13 or 15");
    access_rule(audit, CS, !data || dpl == 0, "the DPL must be 0 with type 3");
    access_rule(audit, CS, !flat || dpl == ss_dpl, "the DPL must equal that of SS");
    access_rule(audit, CS, !conforming || dpl <= ss_dpl, "the DPL must not exceed that of SS");
    access_rule(audit, CS,
                !(audit_entry(audit, ENTRYC_IA32E_GUEST) && (access & ACCESS_L) &&
                  (access & ACCESS_DB)),
                "D/B must be 0 with L");
    common_access(audit, CS, true);
}

static void stack_segment(struct audit *audit)
{
    uint64_t access = access_of(audit, SS);
    unsigned type = ACCESS_TYPE(access), dpl = ACCESS_DPL(access);
    bool real_mode = !(audit_value(audit, INDEX_GUEST_CR0) & CR0_PE);

    /* The DPL of SS is the CPL, hence checked even when SS is unusable. */
    access_rule(audit, SS,
                unrestricted(audit) || dpl == (selector_of(audit, SS) & SELECTOR_RPL),
                "the DPL must equal the RPL of the selector");
    access_rule(audit, SS,
                dpl == 0 || !(real_mode || ACCESS_TYPE(access_of(audit, CS)) == TYPE_DATA_RW),
                "the DPL must be 0 in real mode or when CS is of type 3");
    if (!usable(audit, SS))
        return;
    access_rule(audit, SS, type == TYPE_DATA_RW || type == TYPE_DATA_RW_DOWN,
                "the type must be 3 or 7");
    common_access(audit, SS, true);
}

static void data_segment(struct audit *audit, enum segment segment)
{
    uint64_t access = access_of(audit, segment);
    unsigned type = ACCESS_TYPE(access);

    if (!usable(audit, segment))
        return;
    access_rule(audit, segment, type & TYPE_ACCESSED, "the type must be an accessed one");
    access_rule(audit, segment, !(type & TYPE_CODE) || (type & TYPE_READABLE),
                "a code segment must be readable");
    access_rule(audit, segment,
                unrestricted(audit) || type > TYPE_CODE_RX ||
                    ACCESS_DPL(access) >= (selector_of(audit, segment) & SELECTOR_RPL),
                "the DPL must not be less than the RPL of the selector");
    common_access(audit, segment, true);
}

/* ---- System segments, in any mode ------------------------------------------------------------ */

static void task_register(struct audit *audit)
{
    unsigned type = ACCESS_TYPE(access_of(audit, TR));
    bool long_mode = audit_entry(audit, ENTRYC_IA32E_GUEST);

    access_rule(audit, TR, type == ACCESS_TYPE_TSS_BUSY || (type == TYPE_TSS16_BUSY && !long_mode),
                long_mode ? "the type must be 11 with \"IA-32e mode guest\""
                          : "the type must be 3 or 11");
    access_rule(audit, TR, usable(audit, TR), "must not be unusable");
    common_access(audit, TR, false);
}

static void local_table(struct audit *audit)
{
    if (!usable(audit, LDTR))
        return;
    access_rule(audit, LDTR, ACCESS_TYPE(access_of(audit, LDTR)) == TYPE_LDT,
                "the type must be 2");
    common_access(audit, LDTR, false);
}

void audit_guest_segments(struct audit *audit)
{
    static const enum segment data[] = {ES, DS, FS, GS};

    selectors(audit);
    bases(audit);
    if (virtual_8086(audit)) {
        for (enum segment segment = ES; segment <= GS; segment++)
            virtual_8086_segment(audit, segment);
    } else {
        code_segment(audit);
        stack_segment(audit);
        for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
            data_segment(audit, data[i]);
    }
    task_register(audit);
    local_table(audit);
}
