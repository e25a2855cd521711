/* SPDX-License-Identifier: MIT */
/* The VMCS field table against the rules of SDM 24.11.2: the bits of an encoding say width, type
 * and index, and the order of Appendix B makes the table ascend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmx/vmcs_fields.h"

/* Bits of an encoding: SDM Table 24-21. */
#define ACCESS_HIGH(e)   ((e)&1)
#define INDEX(e)         (((e) >> 1) & 0x1ff)
#define TYPE(e)          (((e) >> 10) & 3)
#define RESERVED_12(e)   (((e) >> 12) & 1)
#define WIDTH(e)         (((e) >> 13) & 3)
#define RESERVED_15(e)   ((e) >> 15)

static void bits_match_the_row(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VMCS_FIELDS; i++) {
        const struct vmcs_field *field = &vmcs_fields[i];
        assert_int_equal(WIDTH(field->encoding), field->width);
        assert_int_equal(ACCESS_HIGH(field->encoding), 0);
        assert_int_equal(RESERVED_12(field->encoding), 0);
        assert_int_equal(RESERVED_15(field->encoding), 0);
    }
}

static void rows_ascend(void **state)
{
    (void)state;
    for (unsigned i = 1; i < VMCS_FIELDS; i++)
        assert_true(vmcs_fields[i - 1].encoding < vmcs_fields[i].encoding);
}

/* The name tells the section: "guest" and "host" stand in the guest and host state and nowhere
 * else, with the read-only and control fields that speak of the guest as exceptions. */
static void names_match_the_section(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VMCS_FIELDS; i++) {
        const struct vmcs_field *field = &vmcs_fields[i];
        assert_non_null(field->name);
        assert_true(strlen(field->name) > 2);
        bool guest = strncmp(field->name, "guest ", 6) == 0;
        bool host = strncmp(field->name, "host ", 5) == 0;
        if (guest)
            assert_int_equal(TYPE(field->encoding), 2);
        assert_int_equal(host, TYPE(field->encoding) == 3);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(vmcs_fields[j].name, field->name);
    }
}

/* Where the SDM has no holes the indexes of a section are 0, 1, 2 ... */
static void sections_start_at_0(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VMCS_FIELDS; i++) {
        uint16_t encoding = vmcs_fields[i].encoding;
        bool first = i == 0 || (vmcs_fields[i - 1].encoding >> 10) != (encoding >> 10);
        if (first)
            assert_int_equal(INDEX(encoding), 0);
    }
}

static void values_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(VMCS_VPID, 0x0000);
    assert_int_equal(VMCS_GUEST_TR_SELECTOR, 0x080e);
    assert_int_equal(VMCS_HOST_TR_SELECTOR, 0x0c0c);
    assert_int_equal(VMCS_MSR_BITMAPS, 0x2004);
    assert_int_equal(VMCS_EPT_POINTER, 0x201a);
    assert_int_equal(VMCS_XSS_EXITING_BITMAP, 0x202c);
    assert_int_equal(VMCS_TSC_MULTIPLIER, 0x2032);
    assert_int_equal(VMCS_GUEST_PHYSICAL_ADDRESS, 0x2400);
    assert_int_equal(VMCS_VMCS_LINK_POINTER, 0x2800);
    assert_int_equal(VMCS_GUEST_PDPTE3, 0x2810);
    assert_int_equal(VMCS_HOST_PERF_GLOBAL_CTRL, 0x2c04);
    assert_int_equal(VMCS_SECONDARY_CONTROLS, 0x401e);
    assert_int_equal(VMCS_INSTRUCTION_ERROR, 0x4400);
    assert_int_equal(VMCS_EXIT_INSTRUCTION_INFO, 0x440e);
    assert_int_equal(VMCS_GUEST_TR_ACCESS, 0x4822);
    assert_int_equal(VMCS_GUEST_ACTIVITY, 0x4826);
    assert_int_equal(VMCS_PREEMPTION_TIMER_VALUE, 0x482e);
    assert_int_equal(VMCS_HOST_SYSENTER_CS, 0x4c00);
    assert_int_equal(VMCS_CR4_SHADOW, 0x6006);
    assert_int_equal(VMCS_EXIT_QUALIFICATION, 0x6400);
    assert_int_equal(VMCS_GUEST_RIP, 0x681e);
    assert_int_equal(VMCS_GUEST_SYSENTER_EIP, 0x6826);
    assert_int_equal(VMCS_HOST_RIP, 0x6c16);
    assert_int_equal(vmcs_fields[INDEX_GUEST_RIP].encoding, VMCS_GUEST_RIP);
    assert_int_equal(vmcs_fields[INDEX_GUEST_RIP].width, VMCS_NATURAL);
    assert_string_equal(vmcs_fields[INDEX_GUEST_RIP].name, "guest RIP");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_match_the_row),   cmocka_unit_test(rows_ascend),
        cmocka_unit_test(names_match_the_section), cmocka_unit_test(sections_start_at_0),
        cmocka_unit_test(values_of_the_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
