/* SPDX-License-Identifier: MIT */
/* Any capability MSRs and wishes: each bit of a control word is what the SDM's rule for it says,
 * the first that is missing is named, and no feature is offered without its controls. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "vmx/capabilities.h"

static uint32_t allowed_1(const struct vmx_capabilities *c, enum vmx_control_word word)
{
    if (word == VMX_SECONDARY && !(c->controls[VMX_PROCESSOR] >> 32 & PROC_SECONDARY_CONTROLS))
        return 0;
    return (uint32_t)(c->controls[word] >> 32);
}

static void check_word(const struct vmx_capabilities *c, enum vmx_control_word word,
                       uint32_t required, uint32_t wanted)
{
    char error[VMX_ERROR_MAX] = "";
    uint32_t value = 0xdead, allowed_0 = (uint32_t)c->controls[word], may = allowed_1(c, word);
    int result = vmx_controls_resolve(c, word, required, wanted, &value, error);

    require_line(error, sizeof(error));
    require(result == (required & ~may ? -ENODEV : 0), "possible or not");
    require((result == 0) == (error[0] == '\0'), "an error without words, or words without one");
    if (result) {
        require(value == 0xdead, "a value of what is not possible");
        return;
    }
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t mask = 1u << bit;
        bool is_1 = may & mask && (allowed_0 | required | wanted) & mask;
        require(!!(value & mask) == is_1, "a bit against its rule");
    }
}

static void check_features(const struct vmx_capabilities *c)
{
    struct vmx_features f = vmx_features_from(c);
    uint32_t pin = allowed_1(c, VMX_PIN), secondary = allowed_1(c, VMX_SECONDARY);
    char error[VMX_ERROR_MAX] = "";

    require(!f.vpid || secondary & SEC_VPID, "VPID");
    require(!f.unrestricted_guest || secondary & SEC_UNRESTRICTED_GUEST, "unrestricted guest");
    require(!(f.ept_2m || f.ept_1g || f.invept_single || f.invept_all || f.ept_execute_only) ||
                secondary & SEC_EPT,
            "EPT");
    require(!(f.invvpid_single || f.invvpid_all) || (f.vpid && c->ept_vpid & VPID_CAP_INVVPID),
            "INVVPID");
    require(!f.apicv || (allowed_1(c, VMX_PROCESSOR) & PROC_TPR_SHADOW &&
                         secondary & SEC_VIRTUAL_INTERRUPT_DELIVERY),
            "APIC virtualisation");
    require(f.preemption_timer == !!(pin & PIN_PREEMPTION_TIMER) && f.preemption_shift < 32,
            "the preemption timer");
    int result = vmx_capabilities_check(c, error);
    require_line(error, sizeof(error));
    require((result == 0) == (error[0] == '\0'), "an error without words, or words without one");
    require(result != 0 || ((f.invept_single || f.invept_all) && c->ept_vpid & EPT_CAP_WALK_4),
            "a processor that cannot do it");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct vmx_capabilities c = {.basic = draw(&input, 8), .ept_vpid = draw(&input, 8),
                                 .misc = draw(&input, 8)};

    for (unsigned word = 0; word < VMX_CONTROL_WORDS; word++)
        c.controls[word] = draw(&input, 8);
    check_features(&c);
    for (unsigned word = 0; word < VMX_CONTROL_WORDS; word++) {
        uint32_t required = (uint32_t)draw(&input, 4), wanted = (uint32_t)draw(&input, 4);
        check_word(&c, (enum vmx_control_word)word, required & wanted, wanted);
        check_word(&c, (enum vmx_control_word)word, required, wanted);
    }
    return 0;
}
