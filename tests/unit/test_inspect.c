/* SPDX-License-Identifier: MIT */
/* A snapshot in words: the texts of fields, registers and segments against the SDM's tables, and
 * the auditor over a snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmx/processor.h"
#include "vmx/vmcs_fields.h"

/* What vmx_vcpu_create resolved its controls against: here any bit may be 0 or 1. */
struct vmx_capabilities vmx_common = {
    .controls = {0xffffffffull << 32, 0xffffffffull << 32, 0xffffffffull << 32,
                 0xffffffffull << 32, 0xffffffffull << 32},
    .cr0_fixed1 = UINT64_MAX,
    .cr4_fixed1 = UINT64_MAX,
    .physical_address_bits = 46,
};

static struct vmx_snapshot snapshot;
static struct vmx_value value;

static int set_up(void **state)
{
    (void)state;
    snapshot = (struct vmx_snapshot){.complete = true};
    memset(snapshot.present, 0xff, sizeof snapshot.present);
    return 0;
}

static const char *field_text(enum vmcs_index field, uint64_t number)
{
    snapshot.field[field] = number;
    assert_true(vmx_snapshot_field(&snapshot, field, &value));
    assert_string_equal(value.name, vmcs_fields[field].name);
    assert_int_equal(value.encoding, vmcs_fields[field].encoding);
    assert_int_equal(value.value, number);
    return value.text;
}

static void fields_are_those_of_the_table(void **state)
{
    (void)state;
    unsigned count = 0;
    while (vmx_snapshot_field(&snapshot, count, &value))
        assert_string_equal(value.name, vmcs_fields[count++].name);
    assert_int_equal(count, VMCS_FIELDS);
    assert_int_equal(count, VMX_SNAPSHOT_FIELDS);
}

static void absent_fields_have_no_text(void **state)
{
    (void)state;
    assert_string_equal(field_text(INDEX_GUEST_ACTIVITY, 1), "HLT");
    assert_true(value.present);
    snapshot.present[INDEX_GUEST_ACTIVITY / 64] &= ~BIT(INDEX_GUEST_ACTIVITY % 64);
    assert_string_equal(field_text(INDEX_GUEST_ACTIVITY, 0), "");
    assert_false(value.present);
    assert_string_equal(field_text(INDEX_GUEST_INTERRUPTIBILITY, 1), "blocking by STI");
    assert_true(value.present);
}

static void texts_are_those_of_the_sdm(void **state)
{
    (void)state;
    static const struct {
        enum vmcs_index field;
        uint64_t value;
        const char *text;
    } cases[] = {
        {INDEX_VPID, 5, ""},
        {INDEX_GUEST_RIP, 0x1000, ""},
        {INDEX_PIN_CONTROLS, 0x29, "external-interrupt exiting, NMI exiting, virtual NMIs"},
        {INDEX_PIN_CONTROLS, 0x16, "reserved 0x16"},
        {INDEX_PROCESSOR_CONTROLS, 0x80000080, "HLT exiting, activate secondary controls"},
        {INDEX_SECONDARY_CONTROLS, 0x22, "enable EPT, enable VPID"},
        {INDEX_EXIT_CONTROLS, 0x200, "host address-space size"},
        {INDEX_ENTRY_CONTROLS, 0x200, "IA-32e mode guest"},
        {INDEX_EXCEPTION_BITMAP, 0x60002, "#DB #AC #MC"},
        {INDEX_GUEST_CR0, 0x80010033, "PE MP ET NE WP PG"},
        {INDEX_GUEST_CR4, 0x2660, "PAE MCE OSFXSR OSXMMEXCPT VMXE"},
        {INDEX_CR4_MASK, UINT64_MAX, "all"},
        {INDEX_CR0_MASK, 0x60000020, "NE NW CD"},
        {INDEX_HOST_EFER, 0xd01, "SCE LME LMA NXE"},
        {INDEX_GUEST_EFER, 0x2, "reserved 0x2"},
        {INDEX_GUEST_RFLAGS, 0x2, ""},
        {INDEX_GUEST_RFLAGS, 0x3247, "CF PF ZF IF IOPL=3"},
        {INDEX_GUEST_RFLAGS, 0x8002, "reserved 0x8000"},
        {INDEX_GUEST_PAT, 0x0007040600070406, "WB WT UC- UC WB WT UC- UC"},
        {INDEX_GUEST_PAT, 0x0205010000000800, "UC reserved UC UC UC WC WP type 2"},
        {INDEX_EPT_POINTER, 0x801e, "WB, page-walk length 4"},
        {INDEX_EPT_POINTER, 0x8060, "UC, page-walk length 5, accessed and dirty flags"},
        {INDEX_GUEST_INTERRUPTIBILITY, 0, ""},
        {INDEX_GUEST_INTERRUPTIBILITY, 0xa, "blocking by MOV SS, blocking by NMI"},
        {INDEX_GUEST_ACTIVITY, 0, "active"},
        {INDEX_GUEST_ACTIVITY, 3, "wait-for-SIPI"},
        {INDEX_GUEST_ACTIVITY, 4, "reserved"},
        {INDEX_GUEST_PENDING_DEBUG, 0x5001, "B0, enabled breakpoint, BS"},
        {INDEX_GUEST_INTERRUPT_STATUS, 0x2140, "RVI=0x40 SVI=0x21"},
        {INDEX_VMCS_LINK_POINTER, UINT64_MAX, "none"},
        {INDEX_VMCS_LINK_POINTER, 0x1000, ""},
        {INDEX_GUEST_DR7, 0x400, ""},
        {INDEX_GUEST_DR7, 0xd0402, "G0 0:write/4"},
        {INDEX_GUEST_DR7, 0xb0000404, "L1 1:execute/1"}, /* types of breakpoint 3, which is off */
        {INDEX_GUEST_DEBUGCTL, 0x3, "LBR BTF"},
        {INDEX_INSTRUCTION_ERROR, 0, ""},
        {INDEX_INSTRUCTION_ERROR, 7, "VM entry with invalid control field(s)"},
        {INDEX_GUEST_SS_ACCESS, 0xc093, "data writable accessed DPL 0 32-bit G"},
        {INDEX_GUEST_CS_ACCESS, 0xa0fb, "code readable accessed DPL 3 64-bit G"},
        {INDEX_GUEST_CS_ACCESS, 0x9c, "code conforming DPL 0"},
        {INDEX_GUEST_DS_ACCESS, 0x14, "data expand-down DPL 0 not present"},
        {INDEX_GUEST_TR_ACCESS, 0x8b, "busy TSS DPL 0"},
        {INDEX_GUEST_TR_ACCESS, 0x83, "busy 16-bit TSS DPL 0"},
        {INDEX_GUEST_LDTR_ACCESS, 0x82, "LDT DPL 0"},
        {INDEX_GUEST_LDTR_ACCESS, 0x8e, "system type 14 DPL 0"},
        {INDEX_GUEST_ES_ACCESS, 0x1c093, "unusable"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(field_text(cases[i].field, cases[i].value), cases[i].text);
}

static void events_have_their_error_codes(void **state)
{
    (void)state;
    snapshot.field[INDEX_ENTRY_EXCEPTION_ERROR] = 0x10;
    snapshot.field[INDEX_EXIT_INTERRUPTION_ERROR] = 0x20;
    snapshot.field[INDEX_IDT_VECTORING_ERROR] = 0x30;
    assert_string_equal(field_text(INDEX_ENTRY_INTERRUPTION_INFO, 0x80000b0d), "#GP error=0x10");
    assert_string_equal(field_text(INDEX_EXIT_INTERRUPTION_INFO, 0x80000b0e), "#PF error=0x20");
    assert_string_equal(field_text(INDEX_IDT_VECTORING_INFO, 0x80000b0a), "#TS error=0x30");
    assert_string_equal(field_text(INDEX_IDT_VECTORING_INFO, 0x800000f1),
                        "external interrupt vector=0xf1");
    assert_string_equal(field_text(INDEX_IDT_VECTORING_INFO, 0x0000000d), "none");
}

static void an_exit_is_told(void **state)
{
    (void)state;
    assert_string_equal(field_text(INDEX_EXIT_REASON, 48), "EPT violation");
    snapshot.field[INDEX_GUEST_PHYSICAL_ADDRESS] = 0x5000;
    assert_string_equal(field_text(INDEX_EXIT_QUALIFICATION, 2), "gpa=0x5000 write, not mapped");
    assert_string_equal(field_text(INDEX_EXIT_REASON, 0x80000021),
                        "VM-entry failure: invalid guest state, VM-entry failure");
    assert_string_equal(field_text(INDEX_EXIT_REASON, 30), "I/O instruction");
    snapshot.gpr[VMX_RAX] = 0x41;
    assert_string_equal(field_text(INDEX_EXIT_QUALIFICATION, 0x00800000),
                        "port=0x80 out 1 byte value=0x41");

    /* their registers hold results by now */
    assert_string_equal(field_text(INDEX_EXIT_REASON, 10), "CPUID");
    assert_string_equal(field_text(INDEX_EXIT_QUALIFICATION, 0), "");
    assert_string_equal(field_text(INDEX_EXIT_REASON, 18), "VMCALL");
    assert_string_equal(field_text(INDEX_EXIT_QUALIFICATION, 0), "");

    snapshot.complete = false;
    assert_string_equal(field_text(INDEX_EXIT_REASON, 30), "");
    assert_string_equal(field_text(INDEX_EXIT_QUALIFICATION, 0), "");
}

/* Whatever a field holds, its text ends within its room. */
static void no_value_overflows(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 200; bits++)
        for (unsigned i = 0; i < VMCS_FIELDS; i++) {
            uint64_t number = bits == 0 ? UINT64_MAX : (uint64_t)rand() << 33 ^ (uint64_t)rand();
            const char *text = field_text(i, number);
            assert_true(strlen(text) < sizeof value.text - 1);
        }
}

static uint64_t register_value(const char *name)
{
    for (unsigned i = 0; vmx_snapshot_register(&snapshot, i, &value); i++)
        if (!strcmp(value.name, name))
            return value.value;
    fail_msg("no register %s", name);
    return 0;
}

static void registers_are_where_they_belong(void **state)
{
    (void)state;
    static const char *const gprs[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                       "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    for (unsigned i = 0; i < VMX_REGISTERS; i++)
        snapshot.gpr[i] = 0x100 + i;
    for (unsigned i = 0; i < VMX_REGISTERS; i++)
        assert_int_equal(register_value(gprs[i]), 0x100 + i);

    snapshot.field[INDEX_GUEST_RIP] = 0x1234;
    snapshot.field[INDEX_GUEST_CR0] = 0x31; /* what is real is not what the guest sees */
    snapshot.cr0 = 0x10;
    snapshot.cr3 = 0x3000;
    snapshot.cr4 = 0x20;
    snapshot.cr8 = 8;
    snapshot.efer = 0x100;
    snapshot.dr[3] = 0x3333;
    snapshot.dr6 = 0xffff4ff1;
    snapshot.xcr0 = 7;
    snapshot.lstar = 0x15;
    snapshot.kernel_gs_base = 0x65;
    assert_int_equal(register_value("RIP"), 0x1234);
    assert_int_equal(register_value("CR0"), 0x10);
    assert_string_equal(value.text, "ET");
    assert_int_equal(register_value("CR3"), 0x3000);
    assert_int_equal(register_value("CR4"), 0x20);
    assert_string_equal(value.text, "PAE");
    assert_int_equal(register_value("CR8"), 8);
    assert_int_equal(register_value("EFER"), 0x100);
    assert_string_equal(value.text, "LME");
    assert_int_equal(register_value("DR3"), 0x3333);
    assert_int_equal(register_value("DR6"), 0xffff4ff1);
    assert_string_equal(value.text, "B0 BS");
    assert_int_equal(register_value("XCR0"), 7);
    assert_string_equal(value.text, "x87 SSE AVX");
    assert_int_equal(register_value("LSTAR"), 0x15);
    assert_int_equal(register_value("KERNEL_GS_BASE"), 0x65);
    snapshot.dr6 = 0xfffe0ff0;
    assert_int_equal(register_value("DR6"), 0xfffe0ff0);
    assert_string_equal(value.text, "RTM");
}

static void segments_are_where_they_belong(void **state)
{
    (void)state;
    static const char *const names[] = {"ES", "CS",   "SS", "DS",   "FS",
                                        "GS", "LDTR", "TR", "GDTR", "IDTR"};
    struct vmx_segment segment;
    snapshot.field[INDEX_GUEST_CS_SELECTOR] = 0x10;
    snapshot.field[INDEX_GUEST_CS_BASE] = 0x10000;
    snapshot.field[INDEX_GUEST_CS_LIMIT] = 0xffff;
    snapshot.field[INDEX_GUEST_CS_ACCESS] = 0x9b;
    snapshot.field[INDEX_GUEST_TR_ACCESS] = 0x8b;
    snapshot.field[INDEX_GUEST_GDTR_BASE] = 0x2000;
    snapshot.field[INDEX_GUEST_IDTR_BASE] = 0x3000;
    snapshot.field[INDEX_GUEST_IDTR_LIMIT] = 0xfff;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        assert_true(vmx_snapshot_segment(&snapshot, i, &segment));
        assert_string_equal(segment.name, names[i]);
        assert_int_equal(segment.table, i >= 8);
        if (i == 1) {
            assert_int_equal(segment.selector, 0x10);
            assert_int_equal(segment.base, 0x10000);
            assert_int_equal(segment.limit, 0xffff);
            assert_int_equal(segment.access, 0x9b);
            assert_string_equal(segment.text, "code readable accessed DPL 0");
        }
        if (i == 7)
            assert_string_equal(segment.text, "busy TSS DPL 0");
        if (i == 8)
            assert_int_equal(segment.base, 0x2000);
    }
    assert_int_equal(segment.base, 0x3000);
    assert_int_equal(segment.limit, 0xfff);
    assert_false(vmx_snapshot_segment(&snapshot, ARRAY_SIZE(names), &segment));
}

static unsigned findings;

static void note_finding(const char *section, const char *message, void *context)
{
    (void)section;
    findings += strstr(message, context) != NULL;
}

static void the_auditor_reads_the_snapshot(void **state)
{
    (void)state;
    findings = 0;
    unsigned before = vmx_snapshot_audit(&snapshot, note_finding, "guest RFLAGS");
    assert_int_equal(findings, 1); /* bit 1 must be 1 */
    snapshot.field[INDEX_GUEST_RFLAGS] = 2;
    findings = 0;
    assert_int_equal(vmx_snapshot_audit(&snapshot, note_finding, "guest RFLAGS"), before - 1);
    assert_int_equal(findings, 0);
}

#define inspect_test(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        inspect_test(fields_are_those_of_the_table),
        inspect_test(absent_fields_have_no_text),
        inspect_test(texts_are_those_of_the_sdm),
        inspect_test(events_have_their_error_codes),
        inspect_test(an_exit_is_told),
        inspect_test(no_value_overflows),
        inspect_test(registers_are_where_they_belong),
        inspect_test(segments_are_where_they_belong),
        inspect_test(the_auditor_reads_the_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
