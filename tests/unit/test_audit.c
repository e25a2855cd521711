/* SPDX-License-Identifier: MIT */
/* The auditor: VMCSes that a processor enters yield no finding, and each rule broken in turn yields
 * one finding, in its own section of the SDM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/x86_bits.h"
#include "vmx/audit.h"

#define CONTROLS(allowed0, allowed1) ((uint64_t)(allowed1) << 32 | (allowed0))

/* Bits that must be 1 in each word of a processor with the TRUE MSRs. */
enum { PIN_1 = 0x16, PROC_1 = 0x04006172, EXIT_1 = 0x00036dfb, ENTRY_1 = 0x000011fb };

/* A Skylake server that has learnt every control the auditor knows. */
static const struct vmx_capabilities model = {
    .basic = 0x00da040000000004ull,
    .controls = {
        [VMX_PIN] = CONTROLS(PIN_1, 0x000000ff),
        [VMX_PROCESSOR] = CONTROLS(PROC_1, 0xfff9fffe),
        [VMX_SECONDARY] = CONTROLS(0, 0x7fffffff),
        [VMX_EXIT] = CONTROLS(EXIT_1, 0x3fffffff),
        [VMX_ENTRY] = CONTROLS(ENTRY_1, 0x007fffff),
    },
    .misc = 0x000401e7, /* 4 CR3 targets, all activity states, no software event of length 0 */
    .cr0_fixed0 = CR0_PG | CR0_NE | CR0_PE, .cr0_fixed1 = 0xffffffff,
    .cr4_fixed0 = CR4_VMXE, .cr4_fixed1 = 0x00b767ff,
    .ept_vpid = 0x00000f0106734141ull,
    .physical_address_bits = 46,
};

#define CANONICAL_LOW_END 0x0000800000000000ull /* the first address that is not canonical */
#define TOO_WIDE          BIT(46)
#define UNUSABLE          BIT(16)
#define EFER_LONG         (EFER_LMA | EFER_LME | EFER_NXE | EFER_SCE)
#define PAT_RESET         0x0007040600070406ull

static void set(struct vmcs_image *image, enum vmcs_index field, uint64_t value)
{
    image->value[field] = value;
}

static void set_segment(struct vmcs_image *image, unsigned n, uint16_t selector, uint64_t base,
                        uint32_t limit, uint32_t access)
{
    set(image, INDEX_GUEST_ES_SELECTOR + n, selector);
    set(image, INDEX_GUEST_ES_BASE + n, base);
    set(image, INDEX_GUEST_ES_LIMIT + n, limit);
    set(image, INDEX_GUEST_ES_ACCESS + n, access);
}

/* Controls and host state, and what all guests share. */
static struct vmcs_image common(void)
{
    struct vmcs_image image = {0};

    set(&image, INDEX_PIN_CONTROLS, PIN_1 | PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING |
                                    PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER);
    set(&image, INDEX_PROCESSOR_CONTROLS, PROC_1 | PROC_HLT_EXITING | PROC_MSR_BITMAPS |
                                          PROC_SECONDARY_CONTROLS);
    set(&image, INDEX_SECONDARY_CONTROLS, SEC_EPT | SEC_VPID);
    set(&image, INDEX_EXIT_CONTROLS, EXIT_1 | EXITC_HOST_64BIT | EXITC_ACKNOWLEDGE_INTERRUPT |
                                     EXITC_SAVE_EFER | EXITC_LOAD_EFER | EXITC_LOAD_PAT |
                                     EXITC_SAVE_PREEMPTION_TIMER);
    set(&image, INDEX_ENTRY_CONTROLS, ENTRY_1 | ENTRYC_LOAD_DEBUG | ENTRYC_LOAD_EFER |
                                      ENTRYC_LOAD_PAT);
    set(&image, INDEX_VPID, 1);
    set(&image, INDEX_MSR_BITMAPS, 0x5000);
    set(&image, INDEX_EPT_POINTER, 0x100000 | 3 << 3 | 6);
    set(&image, INDEX_EXIT_MSR_STORE_ADDRESS, 0x6000);
    set(&image, INDEX_EXIT_MSR_STORE_COUNT, 2);
    set(&image, INDEX_EXIT_MSR_LOAD_ADDRESS, 0x7000);
    set(&image, INDEX_EXIT_MSR_LOAD_COUNT, 2);
    set(&image, INDEX_ENTRY_MSR_LOAD_ADDRESS, 0x8000);
    set(&image, INDEX_ENTRY_MSR_LOAD_COUNT, 2);

    set(&image, INDEX_HOST_CR0, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE);
    set(&image, INDEX_HOST_CR3, 0x9000);
    set(&image, INDEX_HOST_CR4, CR4_VMXE | CR4_PAE);
    set(&image, INDEX_HOST_EFER, EFER_LONG);
    set(&image, INDEX_HOST_PAT, PAT_RESET);
    set(&image, INDEX_HOST_CS_SELECTOR, 0x08);
    set(&image, INDEX_HOST_TR_SELECTOR, 0x18);
    set(&image, INDEX_HOST_GS_BASE, 0xffffffff80100000ull);
    set(&image, INDEX_HOST_RIP, 0xffffffff80001000ull);

    set(&image, INDEX_GUEST_PAT, PAT_RESET);
    set(&image, INDEX_GUEST_DR7, 0x400);
    set(&image, INDEX_GUEST_RFLAGS, RFLAGS_FIXED);
    set(&image, INDEX_VMCS_LINK_POINTER, UINT64_MAX);
    set_segment(&image, 6, 0, 0, 0, UNUSABLE);   /* LDTR */
    set_segment(&image, 7, 0, 0, 0x67, 0x8b);    /* TR: busy TSS */
    return image;
}

static void set_flat(struct vmcs_image *image, uint32_t code)
{
    for (unsigned n = 0; n < 6; n++)
        set_segment(image, n, n == 1 ? 0x10 : 0x18, 0, UINT32_MAX, n == 1 ? code : 0xc093);
}

/* A 64-bit guest, without "unrestricted guest". */
static struct vmcs_image long_mode(void)
{
    struct vmcs_image image = common();
    image.value[INDEX_ENTRY_CONTROLS] |= ENTRYC_IA32E_GUEST;
    set(&image, INDEX_GUEST_CR0, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE);
    set(&image, INDEX_GUEST_CR3, 0x2000);
    set(&image, INDEX_GUEST_CR4, CR4_VMXE | CR4_PAE);
    set(&image, INDEX_GUEST_EFER, EFER_LONG);
    set(&image, INDEX_GUEST_RIP, 0xffffffff81000000ull);
    set_flat(&image, 0xa09b);
    return image;
}

/* Real mode at the reset vector, by "unrestricted guest". */
static struct vmcs_image real_mode(void)
{
    struct vmcs_image image = common();
    image.value[INDEX_SECONDARY_CONTROLS] |= SEC_UNRESTRICTED_GUEST;
    set(&image, INDEX_GUEST_CR0, CR0_NE | CR0_ET);
    set(&image, INDEX_GUEST_CR4, CR4_VMXE);
    set(&image, INDEX_GUEST_RIP, 0xfff0);
    for (unsigned n = 0; n < 6; n++)
        set_segment(&image, n, 0, 0, 0xffff, 0x93);
    set_segment(&image, 1, 0xf000, 0xffff0000, 0xffff, 0x9b);
    return image;
}

/* The PVH entry state on a processor without "unrestricted guest": paging on an identity map. */
static struct vmcs_image paged(void)
{
    struct vmcs_image image = common();
    set(&image, INDEX_GUEST_CR0, CR0_PG | CR0_NE | CR0_ET | CR0_PE);
    set(&image, INDEX_GUEST_CR3, 0x3000);
    set(&image, INDEX_GUEST_CR4, CR4_VMXE | CR4_PSE);
    set(&image, INDEX_GUEST_RIP, 0x100000);
    set_flat(&image, 0xc09b);
    return image;
}

/* Virtual-8086 mode. */
static struct vmcs_image v86(void)
{
    struct vmcs_image image = paged();
    image.value[INDEX_GUEST_RFLAGS] |= RFLAGS_VM;
    set(&image, INDEX_GUEST_RIP, 0x100);
    for (unsigned n = 0; n < 6; n++)
        set_segment(&image, n, 0x1230, 0x12300, 0xffff, 0xf3);
    return image;
}

/* PAE paging with EPT: the entry loads the PDPTEs from the VMCS. */
static struct vmcs_image pae(void)
{
    struct vmcs_image image = paged();
    image.value[INDEX_GUEST_CR4] |= CR4_PAE;
    for (unsigned n = 0; n < 4; n++)
        set(&image, INDEX_GUEST_PDPTE0 + n, n == 3 ? 0x1e6 : 0x4001 + n * 0x1000); /* 3: absent */
    return image;
}

typedef struct vmcs_image make_fn(void);

/* ---- Findings -------------------------------------------------------------------------------- */

struct findings {
    unsigned count;
    char section[16], message[200], all[2000];
};

static void collect(const char *section, const char *message, void *context)
{
    struct findings *findings = context;
    findings->count++;
    snprintf(findings->section, sizeof findings->section, "%s", section);
    snprintf(findings->message, sizeof findings->message, "%s", message);
    size_t used = strlen(findings->all);
    snprintf(findings->all + used, sizeof findings->all - used, "\n  %s: %s", section, message);
}

static struct findings audit(const struct vmcs_image *image, const struct vmx_capabilities *can)
{
    struct findings findings = {0};
    unsigned broken = vmx_audit_image(image, can, collect, &findings);
    assert_int_equal(broken, findings.count);
    return findings;
}

static void no_finding(const struct vmcs_image *image, const struct vmx_capabilities *can,
                       const char *name)
{
    struct findings findings = audit(image, can);
    if (findings.count)
        fail_msg("%s:%s", name, findings.all);
}

static void one_finding(const struct vmcs_image *image, const struct vmx_capabilities *can,
                        const char *section, const char *text)
{
    struct findings findings = audit(image, can);
    if (findings.count != 1 || strcmp(findings.section, section) != 0 ||
        !strstr(findings.message, text))
        fail_msg("expected %s \"%s\", found %u:%s", section, text, findings.count, findings.all);
}

/* ---- Rules broken one at a time -------------------------------------------------------------- */

struct change {
    enum vmcs_index field;
    uint64_t clear, set;
};
#define SET(field, bits)    {INDEX_##field, 0, bits}
#define CLEAR(field, bits)  {INDEX_##field, bits, 0}
#define VALUE(field, value) {INDEX_##field, UINT64_MAX, value}

#define CHANGES 6

/* With no text the changes must be fine. A change of nothing ({0}) is none. */
struct rule {
    make_fn *make;
    const char *section, *text;
    struct change changes[CHANGES];
};

static const uint64_t inject = BIT(31), type_nmi = 2 << 8, type_exception = 3 << 8,
                      type_software = 4 << 8, type_other = 7 << 8, deliver = BIT(11);

#define EXT_INT(vector)   SET(ENTRY_INTERRUPTION_INFO, BIT(31) | (vector))
#define NMI_EVENT         SET(ENTRY_INTERRUPTION_INFO, BIT(31) | 2 << 8 | 2)
#define EXCEPTION(vector) SET(ENTRY_INTERRUPTION_INFO, BIT(31) | 3 << 8 | (vector))
#define APIC_ON           SET(PROCESSOR_CONTROLS, PROC_TPR_SHADOW)
#define POSTED_ON         SET(PIN_CONTROLS, PIN_POSTED_INTERRUPTS)
#define DELIVERY_ON       SET(SECONDARY_CONTROLS, SEC_VIRTUAL_INTERRUPT_DELIVERY)

static const struct rule control_rules[] = {
    {long_mode, "26.2.1.1", "pin-based VM-execution controls = 0x7d: bit 1 must be 1",
     {CLEAR(PIN_CONTROLS, 2)}},
    {long_mode, "26.2.1.1", "bit 8 must be 0", {SET(PIN_CONTROLS, 0x100)}},
    {long_mode, "26.2.1.1", "primary processor-based", {CLEAR(PROCESSOR_CONTROLS, 0x100)}},
    {long_mode, "26.2.1.1", "bit 17 (activate tertiary controls) must be 0",
     {SET(PROCESSOR_CONTROLS, PROC_TERTIARY_CONTROLS)}},
    {long_mode, "26.2.1.1", "bit 31 (instruction timeout) must be 0",
     {SET(SECONDARY_CONTROLS, BIT(31))}},
    {long_mode, "", NULL, /* not activated: not checked */
     {CLEAR(PROCESSOR_CONTROLS, PROC_SECONDARY_CONTROLS), VALUE(SECONDARY_CONTROLS, BIT(31)),
      VALUE(EPT_POINTER, 0xfff), VALUE(VPID, 0)}},
    {long_mode, "", NULL, {VALUE(CR3_TARGET_COUNT, 4)}},
    {long_mode, "26.2.1.1", "CR3-target", {VALUE(CR3_TARGET_COUNT, 5)}},
    {long_mode, "26.2.1.1", "address of I/O bitmap A = 0x8: must be aligned to 4096 bytes",
     {SET(PROCESSOR_CONTROLS, PROC_IO_BITMAPS), VALUE(IO_BITMAP_A, 8)}},
    {long_mode, "26.2.1.1", "I/O bitmap B",
     {SET(PROCESSOR_CONTROLS, PROC_IO_BITMAPS), VALUE(IO_BITMAP_B, TOO_WIDE)}},
    {long_mode, "", NULL, {VALUE(IO_BITMAP_A, 8)}},
    {long_mode, "26.2.1.1", "MSR bitmaps", {SET(MSR_BITMAPS, 0x800)}},
    {long_mode, "26.2.1.1", "physical-address width", {SET(MSR_BITMAPS, TOO_WIDE)}},
    {long_mode, "26.2.1.1", "virtual-APIC address", {APIC_ON, VALUE(VIRTUAL_APIC_ADDRESS, 1)}},
    {long_mode, "26.2.1.1", "TPR threshold", {APIC_ON, VALUE(TPR_THRESHOLD, 0x10)}},
    {long_mode, "", NULL, {APIC_ON, VALUE(TPR_THRESHOLD, 0xf)}},
    {long_mode, "", NULL, {APIC_ON, DELIVERY_ON, VALUE(TPR_THRESHOLD, 0x10)}},
    {long_mode, "26.2.1.1", "needs \"NMI exiting\"", {CLEAR(PIN_CONTROLS, PIN_NMI_EXITING)}},
    {long_mode, "26.2.1.1", "needs \"virtual NMIs\"",
     {CLEAR(PIN_CONTROLS, PIN_VIRTUAL_NMIS), SET(PROCESSOR_CONTROLS, PROC_NMI_WINDOW_EXITING)}},
    {long_mode, "", NULL, {SET(PROCESSOR_CONTROLS, PROC_NMI_WINDOW_EXITING)}},
    {long_mode, "26.2.1.1", "APIC-access address",
     {SET(SECONDARY_CONTROLS, SEC_VIRTUALIZE_APIC_ACCESSES), VALUE(APIC_ACCESS_ADDRESS, 0x10)}},
    {long_mode, "26.2.1.1", "\"virtualize x2APIC mode\" needs \"use TPR shadow\"",
     {SET(SECONDARY_CONTROLS, SEC_VIRTUALIZE_X2APIC)}},
    {long_mode, "26.2.1.1", "\"APIC-register virtualization\" needs",
     {SET(SECONDARY_CONTROLS, SEC_APIC_REGISTER_VIRTUALIZATION)}},
    {long_mode, "26.2.1.1", "\"virtual-interrupt delivery\" needs \"use TPR shadow\"",
     {DELIVERY_ON}},
    {long_mode, "26.2.1.1", "excludes",
     {APIC_ON, SET(SECONDARY_CONTROLS, SEC_VIRTUALIZE_X2APIC | SEC_VIRTUALIZE_APIC_ACCESSES)}},
    {long_mode, "26.2.1.1", "needs \"external-interrupt exiting\"",
     {APIC_ON, DELIVERY_ON, CLEAR(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING)}},
    {long_mode, "", NULL, {APIC_ON, DELIVERY_ON, POSTED_ON, VALUE(POSTED_INTERRUPT_VECTOR, 255)}},
    {long_mode, "26.2.1.1", "needs \"virtual-interrupt delivery\"", {APIC_ON, POSTED_ON}},
    {long_mode, "26.2.1.1", "needs \"acknowledge interrupt on exit\"",
     {APIC_ON, DELIVERY_ON, POSTED_ON, CLEAR(EXIT_CONTROLS, EXITC_ACKNOWLEDGE_INTERRUPT)}},
    {long_mode, "26.2.1.1", "notification vector",
     {APIC_ON, DELIVERY_ON, POSTED_ON, VALUE(POSTED_INTERRUPT_VECTOR, 256)}},
    {long_mode, "26.2.1.1", "posted-interrupt descriptor address",
     {APIC_ON, DELIVERY_ON, POSTED_ON, VALUE(POSTED_INTERRUPT_DESCRIPTOR, 32)}},
    {long_mode, "26.2.1.1", "(VPID) = 0x0: must not be 0", {VALUE(VPID, 0)}},
    {long_mode, "26.2.1.1", "memory type", {CLEAR(EPT_POINTER, 7), SET(EPT_POINTER, 4)}},
    {long_mode, "", NULL, {CLEAR(EPT_POINTER, 7)}}, /* UC is allowed too */
    {long_mode, "26.2.1.1", "page-walk length", {CLEAR(EPT_POINTER, 8)}},
    {long_mode, "26.2.1.1", "page-walk length", {CLEAR(EPT_POINTER, 0x38), SET(EPT_POINTER, 0x20)}},
    {long_mode, "", NULL, {SET(EPT_POINTER, BIT(6))}},
    {long_mode, "26.2.1.1", "bit 7 must be 0", {SET(EPT_POINTER, BIT(7))}},
    {long_mode, "26.2.1.1", "reserved bits 11:8", {SET(EPT_POINTER, BIT(8))}},
    {long_mode, "26.2.1.1", "reserved bits 11:8", {SET(EPT_POINTER, BIT(11))}},
    {long_mode, "26.2.1.1", "EPT pointer (EPTP)", {SET(EPT_POINTER, TOO_WIDE)}},
    {long_mode, "26.2.1.1", "\"unrestricted guest\" needs \"enable EPT\"",
     {CLEAR(SECONDARY_CONTROLS, SEC_EPT), SET(SECONDARY_CONTROLS, SEC_UNRESTRICTED_GUEST)}},
    {long_mode, "26.2.1.1", "\"enable PML\" needs",
     {CLEAR(SECONDARY_CONTROLS, SEC_EPT), SET(SECONDARY_CONTROLS, SEC_PML)}},
    {long_mode, "26.2.1.1", "\"mode-based execute control for EPT\" needs",
     {CLEAR(SECONDARY_CONTROLS, SEC_EPT), SET(SECONDARY_CONTROLS, SEC_MODE_BASED_EXECUTE)}},
    {long_mode, "26.2.1.1", "\"sub-page write permissions for EPT\" needs",
     {CLEAR(SECONDARY_CONTROLS, SEC_EPT), SET(SECONDARY_CONTROLS, SEC_SUB_PAGE_WRITE)}},
    {long_mode, "26.2.1.1", "guest physical addresses\" needs",
     {CLEAR(SECONDARY_CONTROLS, SEC_EPT), SET(SECONDARY_CONTROLS, SEC_PT_GUEST_PHYSICAL)}},
    {long_mode, "26.2.1.1", "PML address",
     {SET(SECONDARY_CONTROLS, SEC_PML), VALUE(PML_ADDRESS, 0x10)}},
    {long_mode, "26.2.1.1", "sub-page-permission-table pointer",
     {SET(SECONDARY_CONTROLS, SEC_SUB_PAGE_WRITE), VALUE(SPP_TABLE_POINTER, 0x10)}},
    {long_mode, "26.2.1.1", "VMREAD-bitmap",
     {SET(SECONDARY_CONTROLS, SEC_VMCS_SHADOWING), VALUE(VMREAD_BITMAP, 0x10)}},
    {long_mode, "26.2.1.1", "VMWRITE-bitmap",
     {SET(SECONDARY_CONTROLS, SEC_VMCS_SHADOWING), VALUE(VMWRITE_BITMAP, 0x10)}},
    {long_mode, "26.2.1.1", "virtualization-exception information",
     {SET(SECONDARY_CONTROLS, SEC_EPT_VIOLATION_VE), VALUE(VE_INFORMATION_ADDRESS, 0x10)}},
    {long_mode, "", NULL, {SET(SECONDARY_CONTROLS, SEC_VM_FUNCTIONS),
                           VALUE(VM_FUNCTION_CONTROLS, 1), VALUE(EPTP_LIST_ADDRESS, 0x1000)}},
    {long_mode, "26.2.1.1", "reserved bits 63:1",
     {SET(SECONDARY_CONTROLS, SEC_VM_FUNCTIONS), VALUE(VM_FUNCTION_CONTROLS, 2)}},
    {long_mode, "26.2.1.1", "EPTP-list",
     {SET(SECONDARY_CONTROLS, SEC_VM_FUNCTIONS), VALUE(VM_FUNCTION_CONTROLS, 1),
      VALUE(EPTP_LIST_ADDRESS, 0x10)}},
    {long_mode, "26.2.1.1", "\"EPTP switching\" needs",
     {CLEAR(SECONDARY_CONTROLS, SEC_EPT), SET(SECONDARY_CONTROLS, SEC_VM_FUNCTIONS),
      VALUE(VM_FUNCTION_CONTROLS, 1)}},

    {long_mode, "26.2.1.2", "bit 0 must be 1", {CLEAR(EXIT_CONTROLS, 1)}},
    {long_mode, "26.2.1.2", "bit 30 (save IA32_PERF_GLOBAL_CTRL) must be 0",
     {SET(EXIT_CONTROLS, BIT(30))}},
    {long_mode, "26.2.1.2", "needs \"activate VMX-preemption timer\"",
     {CLEAR(PIN_CONTROLS, PIN_PREEMPTION_TIMER)}},
    {long_mode, "26.2.1.2", "MSR-store address", {SET(EXIT_MSR_STORE_ADDRESS, 8)}},
    {long_mode, "26.2.1.2", "MSR-store address", {SET(EXIT_MSR_STORE_ADDRESS, TOO_WIDE)}},
    {long_mode, "26.2.1.2", "VM-exit MSR-store count = 0x2: the area must end",
     {VALUE(EXIT_MSR_STORE_ADDRESS, TOO_WIDE - 16)}},
    {long_mode, "", NULL, {VALUE(EXIT_MSR_STORE_ADDRESS, TOO_WIDE - 32)}},
    {long_mode, "", NULL, {VALUE(EXIT_MSR_STORE_ADDRESS, 1), VALUE(EXIT_MSR_STORE_COUNT, 0)}},
    {long_mode, "26.2.1.2", "MSR-load address", {SET(EXIT_MSR_LOAD_ADDRESS, 8)}},

    {long_mode, "26.2.1.3", "bit 12 must be 1", {CLEAR(ENTRY_CONTROLS, BIT(12))}},
    {long_mode, "26.2.1.3", "bit 23 must be 0", {SET(ENTRY_CONTROLS, BIT(23))}},
    {long_mode, "26.2.1.3", "type 1 is reserved",
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 1 << 8)}},
    {long_mode, "", NULL, {VALUE(ENTRY_INTERRUPTION_INFO, 0x7fffffff)}}, /* not valid */
    {long_mode, "", NULL, {NMI_EVENT}},
    {long_mode, "26.2.1.3", "an NMI must have vector 2",
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 2 << 8 | 3)}},
    {long_mode, "26.2.1.3", "a vector of at most 31", {EXCEPTION(32)}},
    {long_mode, "", NULL, {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 7 << 8)}},
    {long_mode, "26.2.1.3", "type 7 must have vector 0",
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 7 << 8 | 1)}},
    {long_mode, "26.2.1.3", "reserved bits 30:12",
     {NMI_EVENT, SET(ENTRY_INTERRUPTION_INFO, BIT(12))}},
    {long_mode, "26.2.1.3", "reserved bits 30:12",
     {NMI_EVENT, SET(ENTRY_INTERRUPTION_INFO, BIT(30))}},
    {long_mode, "26.2.1.3", "bit 11 must be 1", {EXCEPTION(13)}},
    {long_mode, "", NULL, {EXCEPTION(13 | 1 << 11), VALUE(ENTRY_EXCEPTION_ERROR, 0xffff)}},
    {long_mode, "26.2.1.3", "bit 11 must be 0", {EXCEPTION(6 | 1 << 11)}},
    {long_mode, "26.2.1.3", "bit 11 must be 0",
     {NMI_EVENT, SET(ENTRY_INTERRUPTION_INFO, BIT(11))}},
    {real_mode, "26.2.1.3", "bit 11 must be 0", {EXCEPTION(13 | 1 << 11)}},
    {real_mode, "", NULL, {EXCEPTION(13)}},
    {long_mode, "26.2.1.3", "VM-entry exception error code",
     {EXCEPTION(13 | 1 << 11), VALUE(ENTRY_EXCEPTION_ERROR, 0x10000)}},
    {long_mode, "26.2.1.3", "instruction length",
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 4 << 8 | 0x80)}},
    {long_mode, "26.2.1.3", "instruction length",
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 5 << 8 | 1), VALUE(ENTRY_INSTRUCTION_LENGTH, 16)}},
    {long_mode, "26.2.1.3", "instruction length",
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 6 << 8 | 3)}},
    {long_mode, "", NULL,
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 6 << 8 | 3), VALUE(ENTRY_INSTRUCTION_LENGTH, 1)}},
    {long_mode, "", NULL,
     {VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 6 << 8 | 3), VALUE(ENTRY_INSTRUCTION_LENGTH, 15)}},
    {long_mode, "26.2.1.3", "MSR-load address", {SET(ENTRY_MSR_LOAD_ADDRESS, 8)}},
    {long_mode, "26.2.1.3", "need SMM", {SET(ENTRY_CONTROLS, ENTRYC_ENTRY_TO_SMM)}},
    {long_mode, "26.2.1.3", "need SMM", {SET(ENTRY_CONTROLS, ENTRYC_DEACTIVATE_DUAL_MONITOR)}},
};

static const struct rule host_rules[] = {
    {long_mode, "26.2.2", "host CR0 = 0x80010011: bit 5 must be 1", {CLEAR(HOST_CR0, CR0_NE)}},
    {long_mode, "26.2.2", "host CR0", {SET(HOST_CR0, BIT(32))}},
    {long_mode, "26.2.2", "bit 13 must be 1", {CLEAR(HOST_CR4, CR4_VMXE)}},
    {long_mode, "26.2.2", "bit 15 must be 0", {SET(HOST_CR4, BIT(15))}},
    {long_mode, "26.2.2", "WP must be 1",
     {CLEAR(HOST_CR0, CR0_WP), SET(HOST_CR4, BIT(23))}},
    {long_mode, "26.2.2", "host CR3", {SET(HOST_CR3, TOO_WIDE)}},
    {long_mode, "26.2.2", "SYSENTER_ESP", {VALUE(HOST_SYSENTER_ESP, CANONICAL_LOW_END)}},
    {long_mode, "26.2.2", "SYSENTER_EIP", {VALUE(HOST_SYSENTER_EIP, ~CANONICAL_LOW_END)}},
    {long_mode, "26.2.2", "host IA32_PAT", {VALUE(HOST_PAT, 0x0007040600070402)}},
    {long_mode, "26.2.2", "host IA32_PAT", {VALUE(HOST_PAT, 0x0807040600070406)}},
    {long_mode, "", NULL, {VALUE(HOST_PAT, 2), CLEAR(EXIT_CONTROLS, EXITC_LOAD_PAT)}},
    {long_mode, "26.2.2", "host IA32_EFER", {SET(HOST_EFER, BIT(1))}},
    {long_mode, "26.2.2", "LMA and LME", {CLEAR(HOST_EFER, EFER_LMA)}},
    {long_mode, "26.2.2", "LMA and LME", {CLEAR(HOST_EFER, EFER_LME)}},
    {long_mode, "", NULL, {VALUE(HOST_EFER, 0), CLEAR(EXIT_CONTROLS, EXITC_LOAD_EFER)}},
    {long_mode, "26.2.2", "host IA32_S_CET",
     {SET(EXIT_CONTROLS, EXITC_LOAD_CET), VALUE(HOST_S_CET, CANONICAL_LOW_END)}},
    {long_mode, "26.2.2", "INTERRUPT_SSP_TABLE",
     {SET(EXIT_CONTROLS, EXITC_LOAD_CET), VALUE(HOST_SSP_TABLE, CANONICAL_LOW_END)}},
    {long_mode, "26.2.2", "host IA32_PKRS",
     {SET(EXIT_CONTROLS, EXITC_LOAD_PKRS), VALUE(HOST_PKRS, BIT(32))}},
    {long_mode, "", NULL,
     {SET(EXIT_CONTROLS, EXITC_LOAD_PKRS), VALUE(HOST_PKRS, UINT32_MAX)}},

    {long_mode, "26.2.3", "host ES selector", {VALUE(HOST_ES_SELECTOR, 1)}},
    {long_mode, "26.2.3", "host CS selector", {SET(HOST_CS_SELECTOR, 3)}},
    {long_mode, "26.2.3", "host SS selector", {VALUE(HOST_SS_SELECTOR, 2)}},
    {long_mode, "26.2.3", "host DS selector", {VALUE(HOST_DS_SELECTOR, 4)}},
    {long_mode, "26.2.3", "host FS selector", {VALUE(HOST_FS_SELECTOR, 4)}},
    {long_mode, "26.2.3", "host GS selector", {VALUE(HOST_GS_SELECTOR, 1)}},
    {long_mode, "26.2.3", "host TR selector", {SET(HOST_TR_SELECTOR, 4)}},
    {long_mode, "26.2.3", "host CS selector = 0x0: must not be 0", {VALUE(HOST_CS_SELECTOR, 0)}},
    {long_mode, "26.2.3", "host TR selector = 0x0: must not be 0", {VALUE(HOST_TR_SELECTOR, 0)}},
    {long_mode, "26.2.3", "host FS base", {VALUE(HOST_FS_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.2.3", "host GS base", {VALUE(HOST_GS_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.2.3", "host TR base", {VALUE(HOST_TR_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.2.3", "host GDTR base", {VALUE(HOST_GDTR_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.2.3", "host IDTR base", {VALUE(HOST_IDTR_BASE, CANONICAL_LOW_END)}},
    {long_mode, "", NULL, {VALUE(HOST_IDTR_BASE, CANONICAL_LOW_END - 1)}},
    {long_mode, "", NULL, {VALUE(HOST_IDTR_BASE, -CANONICAL_LOW_END)}},

    {long_mode, "26.2.4", "must be 1 in IA-32e mode",
     {CLEAR(EXIT_CONTROLS, EXITC_HOST_64BIT), CLEAR(HOST_EFER, EFER_LMA | EFER_LME),
      VALUE(HOST_SS_SELECTOR, 0x10)}},
    {long_mode, "26.2.4", "PAE must be 1", {CLEAR(HOST_CR4, CR4_PAE)}},
    {long_mode, "26.2.4", "host RIP", {VALUE(HOST_RIP, CANONICAL_LOW_END)}},
};

static const struct rule register_rules[] = {
    {long_mode, "26.3.1.1", "guest CR0 = 0x80010011: bit 5 must be 1", {CLEAR(GUEST_CR0, CR0_NE)}},
    {real_mode, "26.3.1.1", "guest CR0", {CLEAR(GUEST_CR0, CR0_NE)}},
    {paged, "26.3.1.1", "bit 31 must be 1", {CLEAR(GUEST_CR0, CR0_PG)}},
    {real_mode, "26.3.1.1", "PG needs PE", {SET(GUEST_CR0, CR0_PG)}},
    {real_mode, "", NULL, {SET(GUEST_CR0, CR0_PG | CR0_PE)}},
    {long_mode, "26.3.1.1", "bit 13 must be 1", {CLEAR(GUEST_CR4, CR4_VMXE)}},
    {long_mode, "26.3.1.1", "bit 22 must be 0", {SET(GUEST_CR4, CR4_PKE)}},
    {long_mode, "26.3.1.1", "WP must be 1",
     {CLEAR(GUEST_CR0, CR0_WP), SET(GUEST_CR4, BIT(23))}},
    {long_mode, "26.3.1.1", "PG must be 1 with",
     {SET(SECONDARY_CONTROLS, SEC_UNRESTRICTED_GUEST), CLEAR(GUEST_CR0, CR0_PG)}},
    {long_mode, "26.3.1.1", "PAE must be 1 with", {CLEAR(GUEST_CR4, CR4_PAE)}},
    {paged, "26.3.1.1", "PCIDE must be 0", {SET(GUEST_CR4, CR4_PCIDE)}},
    {long_mode, "", NULL, {SET(GUEST_CR4, CR4_PCIDE)}},
    {long_mode, "26.3.1.1", "guest CR3", {SET(GUEST_CR3, TOO_WIDE)}},
    {long_mode, "26.3.1.1", "guest IA32_DEBUGCTL", {SET(GUEST_DEBUGCTL, BIT(3))}},
    {long_mode, "26.3.1.1", "guest IA32_DEBUGCTL", {SET(GUEST_DEBUGCTL, BIT(16))}},
    {long_mode, "26.3.1.1", "guest DR7", {SET(GUEST_DR7, BIT(32))}},
    {long_mode, "", NULL, {SET(GUEST_DR7, BIT(32)), CLEAR(ENTRY_CONTROLS, ENTRYC_LOAD_DEBUG)}},
    {long_mode, "26.3.1.1", "SYSENTER_ESP", {VALUE(GUEST_SYSENTER_ESP, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.1", "SYSENTER_EIP", {VALUE(GUEST_SYSENTER_EIP, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.1", "guest IA32_PAT", {VALUE(GUEST_PAT, 3)}},
    {long_mode, "26.3.1.1", "guest IA32_EFER", {SET(GUEST_EFER, BIT(12))}},
    {long_mode, "26.3.1.1", "LMA must equal LME", {CLEAR(GUEST_EFER, EFER_LME)}},
    {long_mode, "26.3.1.1", "LMA must equal \"IA-32e mode guest\"",
     {CLEAR(GUEST_EFER, EFER_LMA | EFER_LME)}},
    {real_mode, "26.3.1.1", "LMA must equal \"IA-32e", {SET(GUEST_EFER, EFER_LMA)}},
    {real_mode, "", NULL, {SET(GUEST_EFER, EFER_LME)}}, /* without paging LME may wait */
    {paged, "26.3.1.1", "LMA must equal LME", {SET(GUEST_EFER, EFER_LME)}},
    {long_mode, "26.3.1.1", "reserved bits 11:2",
     {SET(ENTRY_CONTROLS, ENTRYC_LOAD_BNDCFGS), VALUE(GUEST_BNDCFGS, 4)}},
    {long_mode, "26.3.1.1", "the base must be",
     {SET(ENTRY_CONTROLS, ENTRYC_LOAD_BNDCFGS), VALUE(GUEST_BNDCFGS, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.1", "guest IA32_S_CET",
     {SET(ENTRY_CONTROLS, ENTRYC_LOAD_CET), VALUE(GUEST_S_CET, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.1", "INTERRUPT_SSP_TABLE",
     {SET(ENTRY_CONTROLS, ENTRYC_LOAD_CET), VALUE(GUEST_SSP_TABLE, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.1", "guest IA32_PKRS",
     {SET(ENTRY_CONTROLS, ENTRYC_LOAD_PKRS), VALUE(GUEST_PKRS, BIT(32))}},

    {long_mode, "26.3.1.3", "guest GDTR base", {VALUE(GUEST_GDTR_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.3", "guest IDTR base", {VALUE(GUEST_IDTR_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.3", "guest GDTR limit", {VALUE(GUEST_GDTR_LIMIT, 0x10000)}},
    {long_mode, "26.3.1.3", "guest IDTR limit", {VALUE(GUEST_IDTR_LIMIT, 0x10000)}},
    {long_mode, "", NULL, {VALUE(GUEST_IDTR_LIMIT, 0xffff)}},

    {long_mode, "26.3.1.4", "guest RIP", {VALUE(GUEST_RIP, CANONICAL_LOW_END)}},
    {paged, "26.3.1.4", "guest RIP", {VALUE(GUEST_RIP, BIT(32))}},
    {real_mode, "26.3.1.4", "guest RIP", {VALUE(GUEST_RIP, BIT(32))}},
    {long_mode, "26.3.1.4", "outside 64-bit mode", {CLEAR(GUEST_CS_ACCESS, BIT(13))}},
    {long_mode, "26.3.1.4", "guest RFLAGS = 0xa: reserved bits", {SET(GUEST_RFLAGS, BIT(3))}},
    {long_mode, "26.3.1.4", "reserved bits", {SET(GUEST_RFLAGS, BIT(5))}},
    {long_mode, "26.3.1.4", "reserved bits", {SET(GUEST_RFLAGS, BIT(15))}},
    {long_mode, "26.3.1.4", "reserved bits", {SET(GUEST_RFLAGS, BIT(22))}},
    {long_mode, "", NULL, {SET(GUEST_RFLAGS, BIT(21))}},
    {long_mode, "26.3.1.4", "bit 1 must be 1", {VALUE(GUEST_RFLAGS, 0)}},
    {long_mode, "26.3.1.4", "IF must be 1", {EXT_INT(0x30)}},
    {long_mode, "", NULL, {EXT_INT(0x30), SET(GUEST_RFLAGS, RFLAGS_IF)}},

    {long_mode, "26.3.1.5", "guest activity state", {VALUE(GUEST_ACTIVITY, 4)}},
    {long_mode, "", NULL, {VALUE(GUEST_ACTIVITY, 3)}},
    {long_mode, "26.3.1.5", "DPL of SS is 0",
     {VALUE(GUEST_ACTIVITY, 1), SET(GUEST_SS_ACCESS, 0x60), SET(GUEST_SS_SELECTOR, 3),
      SET(GUEST_CS_ACCESS, 0x60), SET(GUEST_CS_SELECTOR, 3)}},
    {long_mode, "26.3.1.5", "must be active while",
     {VALUE(GUEST_ACTIVITY, 2), SET(GUEST_INTERRUPTIBILITY, 2)}},
    {long_mode, "26.3.1.5", "must be active while",
     {VALUE(GUEST_ACTIVITY, 2), SET(GUEST_INTERRUPTIBILITY, 1), SET(GUEST_RFLAGS, RFLAGS_IF)}},
    {long_mode, "26.3.1.5", "blocked in this state", {VALUE(GUEST_ACTIVITY, 1), EXCEPTION(6)}},
    {long_mode, "26.3.1.5", "blocked in this state", {VALUE(GUEST_ACTIVITY, 1), EXCEPTION(0)}},
    {long_mode, "", NULL, {VALUE(GUEST_ACTIVITY, 1), EXCEPTION(18)}},
    {long_mode, "", NULL, {VALUE(GUEST_ACTIVITY, 1), EXCEPTION(1)}},
    {long_mode, "", NULL, {VALUE(GUEST_ACTIVITY, 1), NMI_EVENT}},
    {long_mode, "", NULL, {VALUE(GUEST_ACTIVITY, 1), EXT_INT(0x30), SET(GUEST_RFLAGS, RFLAGS_IF)}},
    {long_mode, "", NULL,
     {VALUE(GUEST_ACTIVITY, 1), VALUE(ENTRY_INTERRUPTION_INFO, BIT(31) | 7 << 8)}},
    {long_mode, "26.3.1.5", "blocked in this state", {VALUE(GUEST_ACTIVITY, 2), EXCEPTION(1)}},
    {long_mode, "", NULL, {VALUE(GUEST_ACTIVITY, 2), NMI_EVENT}},
    {long_mode, "26.3.1.5", "blocked in this state", {VALUE(GUEST_ACTIVITY, 3), NMI_EVENT}},
    {long_mode, "26.3.1.5", "reserved bits 31:5", {SET(GUEST_INTERRUPTIBILITY, BIT(5))}},
    {long_mode, "26.3.1.5", "cannot both block",
     {SET(GUEST_INTERRUPTIBILITY, 3), SET(GUEST_RFLAGS, RFLAGS_IF)}},
    {long_mode, "26.3.1.5", "needs RFLAGS.IF", {SET(GUEST_INTERRUPTIBILITY, 1)}},
    {long_mode, "", NULL, {SET(GUEST_INTERRUPTIBILITY, 1), SET(GUEST_RFLAGS, RFLAGS_IF)}},
    {long_mode, "26.3.1.5", "external interrupt is injected",
     {SET(GUEST_INTERRUPTIBILITY, 1), SET(GUEST_RFLAGS, RFLAGS_IF), EXT_INT(0x30)}},
    {long_mode, "26.3.1.5", "external interrupt is injected",
     {SET(GUEST_INTERRUPTIBILITY, 2), SET(GUEST_RFLAGS, RFLAGS_IF), EXT_INT(0x30)}},
    {long_mode, "26.3.1.5", "no blocking by MOV SS when an NMI",
     {SET(GUEST_INTERRUPTIBILITY, 2), NMI_EVENT}},
    {long_mode, "26.3.1.5", "blocking by SMI", {SET(GUEST_INTERRUPTIBILITY, 4)}},
    {long_mode, "26.3.1.5", "with \"virtual NMIs\"", {SET(GUEST_INTERRUPTIBILITY, 8), NMI_EVENT}},
    {long_mode, "", NULL, {SET(GUEST_INTERRUPTIBILITY, 8), NMI_EVENT,
                           CLEAR(PIN_CONTROLS, PIN_VIRTUAL_NMIS)}},
    {long_mode, "26.3.1.5", "enclave interruption", {SET(GUEST_INTERRUPTIBILITY, 0x12)}},
    {long_mode, "26.3.1.5", "guest pending debug exceptions", {SET(GUEST_PENDING_DEBUG, BIT(4))}},
    {long_mode, "26.3.1.5", "reserved bits", {SET(GUEST_PENDING_DEBUG, BIT(11))}},
    {long_mode, "26.3.1.5", "reserved bits", {SET(GUEST_PENDING_DEBUG, BIT(13))}},
    {long_mode, "26.3.1.5", "reserved bits", {SET(GUEST_PENDING_DEBUG, BIT(17))}},
    {long_mode, "", NULL, {SET(GUEST_PENDING_DEBUG, 0x500f)}},
    {long_mode, "26.3.1.5", "BS must be 1",
     {SET(GUEST_INTERRUPTIBILITY, 2), SET(GUEST_RFLAGS, RFLAGS_TF)}},
    {long_mode, "26.3.1.5", "BS must be 1",
     {VALUE(GUEST_ACTIVITY, 1), SET(GUEST_RFLAGS, RFLAGS_TF)}},
    {long_mode, "26.3.1.5", "BS must be 0",
     {SET(GUEST_INTERRUPTIBILITY, 2), SET(GUEST_PENDING_DEBUG, BIT(14))}},
    {long_mode, "26.3.1.5", "BS must be 0",
     {SET(GUEST_INTERRUPTIBILITY, 2), SET(GUEST_PENDING_DEBUG, BIT(14)),
      SET(GUEST_RFLAGS, RFLAGS_TF), SET(GUEST_DEBUGCTL, BIT(1))}},
    {long_mode, "", NULL, {SET(GUEST_RFLAGS, RFLAGS_TF)}},
    {long_mode, "", NULL, {SET(GUEST_PENDING_DEBUG, BIT(16) | BIT(12))}},
    {long_mode, "26.3.1.5", "with RTM", {SET(GUEST_PENDING_DEBUG, BIT(16))}},
    {long_mode, "26.3.1.5", "with RTM", {SET(GUEST_PENDING_DEBUG, BIT(16) | BIT(12) | 1)}},
    {long_mode, "26.3.1.5", "RTM must be 0 while",
     {SET(GUEST_PENDING_DEBUG, BIT(16) | BIT(12)), SET(GUEST_INTERRUPTIBILITY, 2)}},
    {long_mode, "26.3.1.5", "VMCS link pointer", {VALUE(VMCS_LINK_POINTER, 0x10)}},
    {long_mode, "26.3.1.5", "VMCS link pointer", {VALUE(VMCS_LINK_POINTER, TOO_WIDE)}},
    {long_mode, "", NULL, {VALUE(VMCS_LINK_POINTER, 0x1000)}},

    {pae, "26.3.1.6", "guest PDPTE0", {SET(GUEST_PDPTE0, 2)}},
    {pae, "26.3.1.6", "guest PDPTE1", {SET(GUEST_PDPTE1, BIT(8))}},
    {pae, "26.3.1.6", "guest PDPTE2", {SET(GUEST_PDPTE2, TOO_WIDE)}},
    {pae, "26.3.1.6", "guest PDPTE3", {SET(GUEST_PDPTE3, 1)}},
    {long_mode, "", NULL, {VALUE(GUEST_PDPTE0, 0xffff)}}, /* not used there */
};

static const struct rule segment_rules[] = {
    {long_mode, "26.3.1.2", "guest TR selector", {SET(GUEST_TR_SELECTOR, 4)}},
    {long_mode, "", NULL, {SET(GUEST_LDTR_SELECTOR, 4)}},
    {long_mode, "26.3.1.2", "guest LDTR selector",
     {SET(GUEST_LDTR_SELECTOR, 4), VALUE(GUEST_LDTR_ACCESS, 0x82)}},
    {long_mode, "26.3.1.2", "guest SS selector", {SET(GUEST_CS_SELECTOR, 3)}},
    {real_mode, "", NULL, {SET(GUEST_CS_SELECTOR, 3)}},
    {long_mode, "26.3.1.2", "guest TR base", {VALUE(GUEST_TR_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.2", "guest FS base", {VALUE(GUEST_FS_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.2", "guest GS base", {VALUE(GUEST_GS_BASE, CANONICAL_LOW_END)}},
    {long_mode, "", NULL, {VALUE(GUEST_LDTR_BASE, CANONICAL_LOW_END)}},
    {long_mode, "26.3.1.2", "guest LDTR base",
     {VALUE(GUEST_LDTR_BASE, CANONICAL_LOW_END), VALUE(GUEST_LDTR_ACCESS, 0x82)}},
    {long_mode, "26.3.1.2", "guest CS base", {VALUE(GUEST_CS_BASE, BIT(32))}},
    {long_mode, "26.3.1.2", "guest SS base", {VALUE(GUEST_SS_BASE, BIT(32))}},
    {long_mode, "26.3.1.2", "guest DS base", {VALUE(GUEST_DS_BASE, BIT(32))}},
    {long_mode, "26.3.1.2", "guest ES base", {VALUE(GUEST_ES_BASE, BIT(32))}},
    {long_mode, "", NULL, {VALUE(GUEST_ES_BASE, UINT32_MAX)}},
    {long_mode, "", NULL, {VALUE(GUEST_ES_BASE, BIT(32)), SET(GUEST_ES_ACCESS, UNUSABLE)}},

    {v86, "26.3.1.2", "guest DS base", {SET(GUEST_DS_BASE, 1)}},
    {v86, "26.3.1.2", "guest GS limit", {VALUE(GUEST_GS_LIMIT, 0xfffe)}},
    {v86, "26.3.1.2", "guest CS access rights = 0x9b: must be 0xf3",
     {VALUE(GUEST_CS_ACCESS, 0x9b)}},
    {v86, "26.3.1.2", "guest ES access", {SET(GUEST_ES_ACCESS, UNUSABLE)}},
    {v86, "26.3.1.2", "guest TR access", {SET(GUEST_TR_ACCESS, UNUSABLE)}},
    {v86, "", NULL, {SET(GUEST_SS_SELECTOR, 3), SET(GUEST_SS_BASE, 0x30)}},

    {long_mode, "26.3.1.2", "the type must be 9, 11, 13 or 15", {VALUE(GUEST_CS_ACCESS, 0xa093)}},
    {long_mode, "26.3.1.2", "the type must be 9, 11", {VALUE(GUEST_CS_ACCESS, 0xa09a)}},
    {real_mode, "", NULL, {VALUE(GUEST_CS_ACCESS, 0x93)}},
    {real_mode, "26.3.1.2", "the type must be 3, 9", {VALUE(GUEST_CS_ACCESS, 0x97)}},
    {real_mode, "26.3.1.2", "the DPL must be 0 with type 3", {VALUE(GUEST_CS_ACCESS, 0xf3)}},
    {long_mode, "26.3.1.2", "the DPL must equal that of SS", {SET(GUEST_CS_ACCESS, 0x60)}},
    {long_mode, "26.3.1.2", "the DPL must not exceed", {VALUE(GUEST_CS_ACCESS, 0xa0ff)}},
    {long_mode, "", NULL, {VALUE(GUEST_CS_ACCESS, 0xa09f)}},
    {long_mode, "26.3.1.2", "D/B must be 0 with L", {SET(GUEST_CS_ACCESS, BIT(14))}},
    {paged, "", NULL, {SET(GUEST_CS_ACCESS, BIT(13))}}, /* L has no meaning there */
    {long_mode, "26.3.1.2", "guest CS access rights = 0xa08b: S must be 1",
     {CLEAR(GUEST_CS_ACCESS, BIT(4))}},
    {long_mode, "26.3.1.2", "P must be 1", {CLEAR(GUEST_CS_ACCESS, BIT(7))}},
    {long_mode, "26.3.1.2", "reserved bits 31:17", {SET(GUEST_CS_ACCESS, BIT(8))}},
    {long_mode, "26.3.1.2", "reserved bits 31:17", {SET(GUEST_CS_ACCESS, BIT(17))}},
    {long_mode, "26.3.1.2", "G must be 1", {CLEAR(GUEST_CS_ACCESS, BIT(15))}},
    {long_mode, "26.3.1.2", "G must be 0", {VALUE(GUEST_CS_LIMIT, 0xffff7fff & ~1ull)}},
    {real_mode, "26.3.1.2", "G must be 1", {VALUE(GUEST_CS_LIMIT, 0x100000)}},

    {long_mode, "26.3.1.2", "guest SS access rights = 0xc0f3: the DPL must equal the RPL",
     {SET(GUEST_SS_ACCESS, 0x60), VALUE(GUEST_CS_ACCESS, 0xa0fb)}},
    {real_mode, "26.3.1.2", "the DPL must be 0 in real mode",
     {SET(GUEST_SS_ACCESS, 0x60), SET(GUEST_CS_ACCESS, 0x60)}},
    {real_mode, "26.3.1.2", "the DPL must be 0 in real mode",
     {SET(GUEST_CR0, CR0_PE), VALUE(GUEST_CS_ACCESS, 0x93), SET(GUEST_SS_ACCESS, 0x20)}},
    {long_mode, "26.3.1.2", "the type must be 3 or 7", {VALUE(GUEST_SS_ACCESS, 0xc091)}},
    {long_mode, "", NULL, {VALUE(GUEST_SS_ACCESS, 0xc097)}},
    {long_mode, "26.3.1.2", "S must be 1", {CLEAR(GUEST_SS_ACCESS, BIT(4))}},
    {long_mode, "26.3.1.2", "P must be 1", {CLEAR(GUEST_SS_ACCESS, BIT(7))}},
    {long_mode, "", NULL, {VALUE(GUEST_SS_ACCESS, UNUSABLE)}},

    {long_mode, "26.3.1.2", "guest DS access rights = 0xc092: the type must be an accessed one",
     {VALUE(GUEST_DS_ACCESS, 0xc092)}},
    {long_mode, "26.3.1.2", "must be readable", {VALUE(GUEST_ES_ACCESS, 0xc099)}},
    {long_mode, "", NULL, {VALUE(GUEST_ES_ACCESS, 0xc09b)}},
    {long_mode, "26.3.1.2", "less than the RPL", {SET(GUEST_FS_SELECTOR, 3)}},
    {long_mode, "", NULL, {SET(GUEST_FS_SELECTOR, 3), VALUE(GUEST_FS_ACCESS, 0xc0f3)}},
    {long_mode, "", NULL, {SET(GUEST_FS_SELECTOR, 3), VALUE(GUEST_FS_ACCESS, 0xc09f)}},
    {real_mode, "", NULL, {SET(GUEST_FS_SELECTOR, 3)}},
    {long_mode, "26.3.1.2", "guest GS access rights = 0xc083: S must be 1",
     {CLEAR(GUEST_GS_ACCESS, BIT(4))}},
    {long_mode, "26.3.1.2", "guest GS access rights = 0xc013: P must be 1",
     {CLEAR(GUEST_GS_ACCESS, BIT(7))}},
    {long_mode, "26.3.1.2", "reserved bits", {SET(GUEST_DS_ACCESS, BIT(11))}},
    {long_mode, "26.3.1.2", "G must be 1", {CLEAR(GUEST_DS_ACCESS, BIT(15))}},
    {long_mode, "", NULL, {VALUE(GUEST_DS_ACCESS, UNUSABLE | BIT(11)), VALUE(GUEST_DS_LIMIT, 0)}},

    {long_mode, "26.3.1.2", "the type must be 11 with", {VALUE(GUEST_TR_ACCESS, 0x83)}},
    {paged, "", NULL, {VALUE(GUEST_TR_ACCESS, 0x83)}},
    {paged, "26.3.1.2", "the type must be 3 or 11", {VALUE(GUEST_TR_ACCESS, 0x89)}},
    {long_mode, "26.3.1.2", "guest TR access rights = 0x9b: S must be 0",
     {SET(GUEST_TR_ACCESS, BIT(4))}},
    {long_mode, "26.3.1.2", "guest TR access rights = 0xb: P", {CLEAR(GUEST_TR_ACCESS, BIT(7))}},
    {long_mode, "26.3.1.2", "reserved bits", {SET(GUEST_TR_ACCESS, BIT(9))}},
    {long_mode, "26.3.1.2", "G must be 0", {SET(GUEST_TR_ACCESS, BIT(15))}},
    {long_mode, "26.3.1.2", "must not be unusable", {SET(GUEST_TR_ACCESS, UNUSABLE)}},

    {long_mode, "", NULL, {VALUE(GUEST_LDTR_ACCESS, 0x82)}},
    {long_mode, "26.3.1.2", "the type must be 2", {VALUE(GUEST_LDTR_ACCESS, 0x83)}},
    {long_mode, "26.3.1.2", "S must be 0", {VALUE(GUEST_LDTR_ACCESS, 0x92)}},
    {long_mode, "26.3.1.2", "P must be 1", {VALUE(GUEST_LDTR_ACCESS, 0x02)}},
    {long_mode, "26.3.1.2", "reserved bits", {VALUE(GUEST_LDTR_ACCESS, 0x182)}},
    {long_mode, "26.3.1.2", "G must be 1",
     {VALUE(GUEST_LDTR_ACCESS, 0x82), VALUE(GUEST_LDTR_LIMIT, 0x100000)}},
};

static void break_each(const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vmcs_image image = rules[i].make();
        for (unsigned n = 0; n < CHANGES; n++) {
            const struct change *change = &rules[i].changes[n];
            image.value[change->field] &= ~change->clear;
            image.value[change->field] |= change->set;
        }
        if (rules[i].text) {
            one_finding(&image, &model, rules[i].section, rules[i].text);
        } else {
            char name[32];
            snprintf(name, sizeof name, "row %zu", i);
            no_finding(&image, &model, name);
        }
    }
}

static void valid_images(void **state)
{
    (void)state;
    static const struct {
        make_fn *make;
        const char *name;
    } images[] = {{long_mode, "long_mode"}, {real_mode, "real_mode"}, {paged, "paged"},
                  {v86, "v86"},             {pae, "pae"}};
    for (unsigned i = 0; i < ARRAY_SIZE(images); i++) {
        struct vmcs_image image = images[i].make();
        no_finding(&image, &model, images[i].name);
    }
}

static void controls(void **state)
{
    (void)state;
    break_each(control_rules, ARRAY_SIZE(control_rules));
}

static void host_state(void **state)
{
    (void)state;
    break_each(host_rules, ARRAY_SIZE(host_rules));
}

static void guest_registers(void **state)
{
    (void)state;
    break_each(register_rules, ARRAY_SIZE(register_rules));
}

static void guest_segments(void **state)
{
    (void)state;
    break_each(segment_rules, ARRAY_SIZE(segment_rules));
}

/* RFLAGS.VM where it must not be changes how the segments are checked: more than one finding. */
static void virtual_8086_flag(void **state)
{
    (void)state;
    struct vmcs_image image = v86();
    image.value[INDEX_SECONDARY_CONTROLS] |= SEC_UNRESTRICTED_GUEST;
    image.value[INDEX_GUEST_CR0] &= ~(CR0_PE | CR0_PG);
    one_finding(&image, &model, "26.3.1.4", "VM must be 0");
}

/* Rules whose outcome depends on the processor. */
static void other_processors(void **state)
{
    (void)state;
    struct vmx_capabilities can = model;
    struct vmcs_image image = long_mode();

    can.ept_vpid &= ~EPT_CAP_ACCESSED_DIRTY;
    image.value[INDEX_EPT_POINTER] |= BIT(6);
    one_finding(&image, &can, "26.2.1.1", "bit 6 must be 0");

    can = model, image = long_mode();
    can.ept_vpid &= ~EPT_CAP_WB;
    one_finding(&image, &can, "26.2.1.1", "memory type");

    can = model, image = long_mode();
    can.ept_vpid |= EPT_CAP_WALK_5 | EPT_CAP_SHADOW_STACK;
    image.value[INDEX_EPT_POINTER] = 0x100000 | BIT(7) | 4 << 3 | 6;
    no_finding(&image, &can, "5 levels");

    can = model, image = long_mode();
    can.basic |= BASIC_32BIT_ADDRESSES;
    no_finding(&image, &can, "32-bit addresses");
    image.value[INDEX_MSR_BITMAPS] = BIT(32);
    one_finding(&image, &can, "26.2.1.1", "address of MSR bitmaps");

    can = model, image = long_mode();
    can.cr4_fixed1 |= CR4_LA57;
    image.value[INDEX_GUEST_FS_BASE] = CANONICAL_LOW_END;
    no_finding(&image, &can, "57-bit linear addresses");

    can = model, image = long_mode();
    can.misc &= ~MISC_ACTIVITY_WAIT_SIPI;
    image.value[INDEX_GUEST_ACTIVITY] = 3;
    one_finding(&image, &can, "26.3.1.5", "IA32_VMX_MISC");

    can = model, image = long_mode();
    can.basic |= BASIC_ANY_ERROR_CODE;
    image.value[INDEX_ENTRY_INTERRUPTION_INFO] = inject | type_exception | 6 | deliver;
    no_finding(&image, &can, "any error code");
    image.value[INDEX_ENTRY_INTERRUPTION_INFO] = inject | type_nmi | 2 | deliver;
    one_finding(&image, &can, "26.2.1.3", "bit 11 must be 0");

    can = model, image = long_mode();
    can.misc |= MISC_ZERO_LENGTH_INJECT;
    image.value[INDEX_ENTRY_INTERRUPTION_INFO] = inject | type_software | 0x80;
    no_finding(&image, &can, "length 0");
    image.value[INDEX_ENTRY_INSTRUCTION_LENGTH] = 16;
    one_finding(&image, &can, "26.2.1.3", "instruction length");

    can = model, image = long_mode();
    can.controls[VMX_PROCESSOR] &= ~CONTROLS(0, PROC_MONITOR_TRAP_FLAG);
    image.value[INDEX_ENTRY_INTERRUPTION_INFO] = inject | type_other;
    one_finding(&image, &can, "26.2.1.3", "type 7 is reserved");
}

/* Whatever stands in a VMCS, the auditor stays within its tables (the sanitizers look). */
static void any_bits(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned n = 0; n < 2000; n++) {
        struct vmcs_image image = n % 2 ? long_mode() : (struct vmcs_image){0};
        for (unsigned i = 0; i < VMCS_FIELDS; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            image.value[i] ^= n % 3 ? seed ^ seed >> 33 : 1ull << (seed >> 58);
        }
        assert_true(audit(&image, &model).count > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_images),    cmocka_unit_test(controls),
        cmocka_unit_test(host_state),      cmocka_unit_test(guest_registers),
        cmocka_unit_test(guest_segments),  cmocka_unit_test(virtual_8086_flag),
        cmocka_unit_test(other_processors), cmocka_unit_test(any_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
