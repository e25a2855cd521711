/* SPDX-License-Identifier: MIT */
/* Control words, features and requirements against capability MSRs of models that exist and of some
 * that lack one thing each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/errno.h>

#include "vmx/capabilities.h"

#define CONTROLS(allowed0, allowed1) ((uint64_t)(allowed1) << 32 | (allowed0))

/* A Skylake server, as its MSRs read. */
static const struct vmx_capabilities skylake = {
    .basic = 0x00da040000000004ull,
    .controls = {
        [VMX_PIN] = CONTROLS(0x00000016, 0x0000007f),
        [VMX_PROCESSOR] = CONTROLS(0x04006172, 0xfff9fffe),
        [VMX_SECONDARY] = CONTROLS(0x00000000, 0x00553cfe),
        [VMX_EXIT] = CONTROLS(0x00036dfb, 0x01ffffff),
        [VMX_ENTRY] = CONTROLS(0x000011fb, 0x0003ffff),
    },
    .misc = 0x7004c1e7,
    .cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff,
    .cr4_fixed0 = 0x2000, .cr4_fixed1 = 0x3767ff,
    .ept_vpid = 0x00000f0106734141ull,
    .physical_address_bits = 46,
};

/* Every word of four bits: allowed-0, allowed-1, required and wanted in all combinations. */
static void every_small_word(void **state)
{
    (void)state;
    for (unsigned word = 0; word < VMX_CONTROL_WORDS; word++) {
        for (unsigned n = 0; n < 1u << 16; n++) {
            uint32_t must = n & 15, may = n >> 4 & 15, required = n >> 8 & 15, wanted = n >> 12;
            uint32_t value = 0xdead;
            char error[VMX_ERROR_MAX] = "";
            struct vmx_capabilities model = {0};

            if (must & ~may) /* no processor says that a bit must be 1 and must not */
                continue;
            model.controls[VMX_PROCESSOR] = CONTROLS(0, PROC_SECONDARY_CONTROLS);
            model.controls[word] = CONTROLS(must, may);
            if (word == VMX_PROCESSOR)
                model.controls[word] |= CONTROLS(0, PROC_SECONDARY_CONTROLS);

            int result = vmx_controls_resolve(&model, word, required, wanted, &value, error);
            bool possible = true;
            for (unsigned bit = 0; bit < 4; bit++)
                possible &= !(required >> bit & 1) || (may >> bit & 1);
            if (!possible) {
                assert_int_equal(result, -ENODEV);
                assert_int_equal(value, 0xdead);
                assert_true(strlen(error) > 0);
                continue;
            }
            assert_int_equal(result, 0);
            assert_string_equal(error, "");
            for (unsigned bit = 0; bit < 4; bit++) {
                bool expected = (must >> bit & 1) || (required >> bit & 1) ||
                                ((wanted >> bit & 1) && (may >> bit & 1));
                assert_int_equal(value >> bit & 1, expected);
            }
            assert_int_equal(value >> 4, 0);
        }
    }
}

static void resolve_error(const struct vmx_capabilities *model, enum vmx_control_word word,
                          uint32_t required, const char *expected)
{
    uint32_t value;
    char error[VMX_ERROR_MAX] = "";
    assert_int_equal(vmx_controls_resolve(model, word, required, 0, &value, error), -ENODEV);
    assert_string_equal(error, expected);
}

static void default1_is_kept(void **state)
{
    (void)state;
    uint32_t value;
    char error[VMX_ERROR_MAX];
    assert_int_equal(vmx_controls_resolve(&skylake, VMX_PIN, PIN_NMI_EXITING, PIN_POSTED_INTERRUPTS,
                                          &value, error), 0);
    assert_int_equal(value, 0x16 | PIN_NMI_EXITING);
    assert_int_equal(vmx_controls_resolve(&skylake, VMX_ENTRY, 0, ENTRYC_IA32E_GUEST, &value,
                                          error), 0);
    assert_int_equal(value, 0x11fb | ENTRYC_IA32E_GUEST);
}

static void errors_name_bit_and_msr(void **state)
{
    (void)state;
    struct vmx_capabilities model = skylake;
    resolve_error(&model, VMX_PIN, PIN_POSTED_INTERRUPTS,
                  "the processor lacks \"process posted interrupts\" (bit 7 of "
                  "IA32_VMX_TRUE_PINBASED_CTLS)");
    model.basic &= ~BASIC_TRUE_CONTROLS;
    resolve_error(&model, VMX_PIN, PIN_POSTED_INTERRUPTS,
                  "the processor lacks \"process posted interrupts\" (bit 7 of "
                  "IA32_VMX_PINBASED_CTLS)");
    model.controls[VMX_SECONDARY] &= ~CONTROLS(0, SEC_UNRESTRICTED_GUEST | SEC_VPID);
    resolve_error(&model, VMX_SECONDARY, SEC_UNRESTRICTED_GUEST,
                  "the processor lacks \"unrestricted guest\" (bit 7 of IA32_VMX_PROCBASED_CTLS2)");
    resolve_error(&model, VMX_SECONDARY, SEC_UNRESTRICTED_GUEST | SEC_VPID, /* the first one */
                  "the processor lacks \"enable VPID\" (bit 5 of IA32_VMX_PROCBASED_CTLS2)");
    model.controls[VMX_EXIT] &= ~CONTROLS(0, EXITC_ACKNOWLEDGE_INTERRUPT);
    resolve_error(&model, VMX_EXIT, EXITC_ACKNOWLEDGE_INTERRUPT,
                  "the processor lacks \"acknowledge interrupt on exit\" (bit 15 of "
                  "IA32_VMX_EXIT_CTLS)");
    model.controls[VMX_ENTRY] &= ~CONTROLS(0, ENTRYC_LOAD_EFER);
    resolve_error(&model, VMX_ENTRY, ENTRYC_LOAD_EFER,
                  "the processor lacks \"load IA32_EFER\" (bit 15 of IA32_VMX_ENTRY_CTLS)");
    resolve_error(&model, VMX_ENTRY, 1u << 30,
                  "the processor lacks a control without a name (bit 30 of "
                  "IA32_VMX_ENTRY_CTLS)");
}

/* Bochs's "core2_penryn_t9600": VMX without secondary controls. */
static void no_secondary_controls(void **state)
{
    (void)state;
    static const char expected[] = "the processor lacks \"activate secondary controls\" (bit 31 of "
                                   "IA32_VMX_PROCBASED_CTLS), and so EPT";
    struct vmx_capabilities model = skylake;
    uint32_t value;
    char error[VMX_ERROR_MAX] = "";

    model.basic &= ~BASIC_TRUE_CONTROLS;
    model.controls[VMX_PROCESSOR] &= ~CONTROLS(0, PROC_SECONDARY_CONTROLS);
    model.controls[VMX_SECONDARY] = 0;
    model.ept_vpid = 0;
    resolve_error(&model, VMX_PROCESSOR, PROC_SECONDARY_CONTROLS, expected);
    resolve_error(&model, VMX_SECONDARY, SEC_EPT, expected);
    resolve_error(&model, VMX_SECONDARY, SEC_VPID,
                  "the processor lacks \"activate secondary controls\" (bit 31 of "
                  "IA32_VMX_PROCBASED_CTLS), and so enable VPID");
    assert_int_equal(vmx_capabilities_check(&model, error), -ENODEV);
    assert_string_equal(error, expected);

    /* What stands in an MSR that does not exist counts for nothing. */
    model.controls[VMX_SECONDARY] = CONTROLS(SEC_RDTSCP, ~0u);
    assert_int_equal(vmx_controls_resolve(&model, VMX_SECONDARY, 0, SEC_EPT, &value, error), 0);
    assert_int_equal(value, 0);
    assert_false(vmx_features_from(&model).vpid);
}

static void requirements(void **state)
{
    (void)state;
    struct vmx_capabilities model = skylake;
    char error[VMX_ERROR_MAX] = "";

    assert_int_equal(vmx_capabilities_check(&model, error), 0);
    assert_string_equal(error, "");

    model.ept_vpid &= ~EPT_CAP_WB;
    assert_int_equal(vmx_capabilities_check(&model, error), -ENODEV);
    assert_string_equal(error, "the processor lacks write-back EPT paging structures (bit 14 of "
                               "IA32_VMX_EPT_VPID_CAP)");
    model.ept_vpid &= ~EPT_CAP_WALK_4;
    assert_int_equal(vmx_capabilities_check(&model, error), -ENODEV);
    assert_string_equal(error, "the processor lacks an EPT page walk of 4 levels (bit 6 of "
                               "IA32_VMX_EPT_VPID_CAP)");
    model.controls[VMX_SECONDARY] &= ~CONTROLS(0, SEC_EPT);
    assert_int_equal(vmx_capabilities_check(&model, error), -ENODEV);
    assert_string_equal(error,
                        "the processor lacks \"enable EPT\" (bit 1 of IA32_VMX_PROCBASED_CTLS2)");
}

static void features(void **state)
{
    (void)state;
    struct vmx_capabilities model = skylake;
    struct vmx_features features = vmx_features_from(&model);

    assert_int_equal(features.revision, 4);
    assert_true(features.true_controls);
    assert_true(features.vpid);
    assert_true(features.unrestricted_guest);
    assert_true(features.preemption_timer);
    assert_int_equal(features.preemption_shift, 7);
    assert_true(features.virtual_nmis);
    assert_true(features.ept_2m);
    assert_true(features.ept_1g);
    assert_true(features.ept_execute_only);
    assert_true(features.invept_single);
    assert_true(features.invept_all);
    assert_true(features.invvpid_single);
    assert_true(features.invvpid_all);
    assert_true(features.pause_loop_exiting);
    assert_true(features.rdtscp);
    assert_true(features.invpcid);

    /* Take one thing away at a time. */
    model = skylake, model.controls[VMX_SECONDARY] &= ~CONTROLS(0, SEC_INVPCID);
    assert_false(vmx_features_from(&model).invpcid);
    assert_true(vmx_features_from(&model).rdtscp);
    model = skylake, model.basic &= ~BASIC_TRUE_CONTROLS;
    assert_false(vmx_features_from(&model).true_controls);
    model = skylake, model.controls[VMX_PIN] &= ~CONTROLS(0, PIN_PREEMPTION_TIMER);
    assert_false(vmx_features_from(&model).preemption_timer);
    assert_true(vmx_features_from(&model).virtual_nmis);
    model = skylake, model.controls[VMX_SECONDARY] &= ~CONTROLS(0, SEC_VPID);
    assert_false(vmx_features_from(&model).vpid);
    assert_false(vmx_features_from(&model).invvpid_all);
    assert_true(vmx_features_from(&model).ept_2m);
    model = skylake, model.ept_vpid &= ~VPID_CAP_INVVPID;
    assert_false(vmx_features_from(&model).invvpid_single);
    model = skylake, model.ept_vpid &= ~EPT_CAP_INVEPT_SINGLE;
    assert_false(vmx_features_from(&model).invept_single);
    assert_true(vmx_features_from(&model).invept_all);
    model = skylake, model.ept_vpid &= ~EPT_CAP_1G;
    assert_false(vmx_features_from(&model).ept_1g);
    assert_true(vmx_features_from(&model).ept_2m);
    model = skylake, model.controls[VMX_SECONDARY] &= ~CONTROLS(0, SEC_UNRESTRICTED_GUEST);
    assert_false(vmx_features_from(&model).unrestricted_guest);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(vmx_control_name(VMX_PIN, 6), "activate VMX-preemption timer");
    assert_string_equal(vmx_control_name(VMX_PROCESSOR, 31), "activate secondary controls");
    assert_string_equal(vmx_control_name(VMX_SECONDARY, 1), "enable EPT");
    assert_string_equal(vmx_control_name(VMX_EXIT, 9), "host address-space size");
    assert_string_equal(vmx_control_name(VMX_ENTRY, 9), "IA-32e mode guest");
    assert_null(vmx_control_name(VMX_PIN, 1));
    assert_null(vmx_control_name(VMX_PIN, 32));
    assert_null(vmx_control_name(VMX_CONTROL_WORDS, 0));

    /* Every bit of the enums has a name. */
    static const struct {
        enum vmx_control_word word;
        uint32_t bits;
    } known[] = {
        {VMX_PIN, PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
                  PIN_PREEMPTION_TIMER | PIN_POSTED_INTERRUPTS},
        {VMX_PROCESSOR, 0xfbfb9e8c}, /* 24.6.2 without the reserved bits and bit 18 */
        {VMX_SECONDARY, 0xdfffffff}, /* all but bit 29 */
        {VMX_EXIT, 0xfffc9204},
        {VMX_ENTRY, 0x007fee04},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        for (unsigned bit = 0; bit < 32; bit++)
            if (!!(known[i].bits >> bit & 1) != (vmx_control_name(known[i].word, bit) != NULL))
                fail_msg("word %u bit %u", known[i].word, bit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_word),        cmocka_unit_test(default1_is_kept),
        cmocka_unit_test(errors_name_bit_and_msr), cmocka_unit_test(no_secondary_controls),
        cmocka_unit_test(requirements),            cmocka_unit_test(features),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
