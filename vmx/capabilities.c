/* SPDX-License-Identifier: MIT */
/* Control words resolved against the VMX capability MSRs, the names of their bits, and the features
 * that follow. Source of truth: SDM Appendix A, names from 24.6 to 24.8. */
#include "vmx/capabilities.h"

#include <linux/errno.h>

#include "kernel/lib/format.h"

#define BIT_SECONDARY_CONTROLS 31u /* of PROC_SECONDARY_CONTROLS */
#define BIT_EPT                1u  /* of SEC_EPT */
#define UNNAMED                "a control without a name"

static const char *const control_names[VMX_CONTROL_WORDS][32] = {
    [VMX_PIN] = {
        [0] = "external-interrupt exiting",
        [3] = "NMI exiting",
        [5] = "virtual NMIs",
        [6] = "activate VMX-preemption timer",
        [7] = "process posted interrupts",
    },
    [VMX_PROCESSOR] = {
        [2] = "interrupt-window exiting",
        [3] = "use TSC offsetting",
        [7] = "HLT exiting",
        [9] = "INVLPG exiting",
        [10] = "MWAIT exiting",
        [11] = "RDPMC exiting",
        [12] = "RDTSC exiting",
        [15] = "CR3-load exiting",
        [16] = "CR3-store exiting",
        [17] = "activate tertiary controls",
        [19] = "CR8-load exiting",
        [20] = "CR8-store exiting",
        [21] = "use TPR shadow",
        [22] = "NMI-window exiting",
        [23] = "MOV-DR exiting",
        [24] = "unconditional I/O exiting",
        [25] = "use I/O bitmaps",
        [27] = "monitor trap flag",
        [28] = "use MSR bitmaps",
        [29] = "MONITOR exiting",
        [30] = "PAUSE exiting",
        [31] = "activate secondary controls",
    },
    [VMX_SECONDARY] = {
        [0] = "virtualize APIC accesses",
        [1] = "enable EPT",
        [2] = "descriptor-table exiting",
        [3] = "enable RDTSCP",
        [4] = "virtualize x2APIC mode",
        [5] = "enable VPID",
        [6] = "WBINVD exiting",
        [7] = "unrestricted guest",
        [8] = "APIC-register virtualization",
        [9] = "virtual-interrupt delivery",
        [10] = "PAUSE-loop exiting",
        [11] = "RDRAND exiting",
        [12] = "enable INVPCID",
        [13] = "enable VM functions",
        [14] = "VMCS shadowing",
        [15] = "enable ENCLS exiting",
        [16] = "RDSEED exiting",
        [17] = "enable PML",
        [18] = "EPT-violation #VE",
        [19] = "conceal VMX from PT",
        [20] = "enable XSAVES/XRSTORS",
        [21] = "PASID translation",
        [22] = "mode-based execute control for EPT",
        [23] = "sub-page write permissions for EPT",
        [24] = "Intel PT uses guest physical addresses",
        [25] = "use TSC scaling",
        [26] = "enable user wait and pause",
        [27] = "enable PCONFIG",
        [28] = "enable ENCLV exiting",
        [30] = "VMM bus-lock detection",
        [31] = "instruction timeout",
    },
    [VMX_EXIT] = {
        [2] = "save debug controls",
        [9] = "host address-space size",
        [12] = "load IA32_PERF_GLOBAL_CTRL",
        [15] = "acknowledge interrupt on exit",
        [18] = "save IA32_PAT",
        [19] = "load IA32_PAT",
        [20] = "save IA32_EFER",
        [21] = "load IA32_EFER",
        [22] = "save VMX-preemption timer value",
        [23] = "clear IA32_BNDCFGS",
        [24] = "conceal VMX from PT",
        [25] = "clear IA32_RTIT_CTL",
        [26] = "clear IA32_LBR_CTL",
        [27] = "clear UINV",
        [28] = "load CET state",
        [29] = "load PKRS",
        [30] = "save IA32_PERF_GLOBAL_CTRL",
        [31] = "activate secondary controls",
    },
    [VMX_ENTRY] = {
        [2] = "load debug controls",
        [9] = "IA-32e mode guest",
        [10] = "entry to SMM",
        [11] = "deactivate dual-monitor treatment",
        [13] = "load IA32_PERF_GLOBAL_CTRL",
        [14] = "load IA32_PAT",
        [15] = "load IA32_EFER",
        [16] = "load IA32_BNDCFGS",
        [17] = "conceal VMX from PT",
        [18] = "load IA32_RTIT_CTL",
        [19] = "load UINV",
        [20] = "load CET state",
        [21] = "load guest IA32_LBR_CTL",
        [22] = "load PKRS",
    },
};

/* The MSR of each word, without and with BASIC_TRUE_CONTROLS. */
static const char *const msr_names[VMX_CONTROL_WORDS][2] = {
    [VMX_PIN]       = {"IA32_VMX_PINBASED_CTLS",  "IA32_VMX_TRUE_PINBASED_CTLS"},
    [VMX_PROCESSOR] = {"IA32_VMX_PROCBASED_CTLS", "IA32_VMX_TRUE_PROCBASED_CTLS"},
    [VMX_SECONDARY] = {"IA32_VMX_PROCBASED_CTLS2", "IA32_VMX_PROCBASED_CTLS2"},
    [VMX_EXIT]      = {"IA32_VMX_EXIT_CTLS",      "IA32_VMX_TRUE_EXIT_CTLS"},
    [VMX_ENTRY]     = {"IA32_VMX_ENTRY_CTLS",     "IA32_VMX_TRUE_ENTRY_CTLS"},
};

const char *vmx_control_name(enum vmx_control_word word, unsigned bit)
{
    if ((unsigned)word >= VMX_CONTROL_WORDS || bit >= 32)
        return NULL;
    return control_names[word][bit];
}

static const char *msr_name(const struct vmx_capabilities *capabilities, enum vmx_control_word word)
{
    return msr_names[word][(capabilities->basic & BASIC_TRUE_CONTROLS) != 0];
}

static uint32_t must_be_1(const struct vmx_capabilities *capabilities, enum vmx_control_word word)
{
    return (uint32_t)capabilities->controls[word];
}

/* Without "activate secondary controls" the processor behaves as if all of them were 0 (24.6.2). */
static bool has_secondary_controls(const struct vmx_capabilities *capabilities)
{
    return capabilities->controls[VMX_PROCESSOR] >> 32 & PROC_SECONDARY_CONTROLS;
}

static uint32_t may_be_1(const struct vmx_capabilities *capabilities, enum vmx_control_word word)
{
    if (word == VMX_SECONDARY && !has_secondary_controls(capabilities))
        return 0;
    return (uint32_t)(capabilities->controls[word] >> 32);
}

/* The error line for `bit`, which is not allowed to be 1. */
static void describe_missing(const struct vmx_capabilities *capabilities,
                             enum vmx_control_word word, unsigned bit, char error[VMX_ERROR_MAX])
{
    /* Whoever reads the line looks for EPT: say that it goes with the word that holds it. */
    if (!has_secondary_controls(capabilities) &&
        (word == VMX_SECONDARY || (word == VMX_PROCESSOR && bit == BIT_SECONDARY_CONTROLS))) {
        bool ept = word == VMX_PROCESSOR || bit == BIT_EPT;
        const char *lost = ept ? "EPT" : vmx_control_name(word, bit);
        snprintf(error, VMX_ERROR_MAX, "the processor lacks \"%s\" (bit %u of %s), and so %s",
                 vmx_control_name(VMX_PROCESSOR, BIT_SECONDARY_CONTROLS), BIT_SECONDARY_CONTROLS,
                 msr_name(capabilities, VMX_PROCESSOR), lost ? lost : UNNAMED);
        return;
    }
    const char *name = vmx_control_name(word, bit);
    const char *quote = name ? "\"" : "";
    snprintf(error, VMX_ERROR_MAX, "the processor lacks %s%s%s (bit %u of %s)", quote,
             name ? name : UNNAMED, quote, bit, msr_name(capabilities, word));
}

int vmx_controls_resolve(const struct vmx_capabilities *capabilities, enum vmx_control_word word,
                         uint32_t required, uint32_t wanted, uint32_t *value,
                         char error[VMX_ERROR_MAX])
{
    uint32_t allowed = may_be_1(capabilities, word);
    uint32_t missing = required & ~allowed;

    if (missing) {
        describe_missing(capabilities, word, (unsigned)__builtin_ctz(missing), error);
        return -ENODEV;
    }
    *value = (required | wanted | must_be_1(capabilities, word)) & allowed;
    return 0;
}

struct vmx_features vmx_features_from(const struct vmx_capabilities *capabilities)
{
    uint32_t pin = may_be_1(capabilities, VMX_PIN);
    uint32_t processor = may_be_1(capabilities, VMX_PROCESSOR);
    uint32_t secondary = may_be_1(capabilities, VMX_SECONDARY);
    const uint32_t apicv = SEC_VIRTUALIZE_X2APIC | SEC_APIC_REGISTER_VIRTUALIZATION |
                           SEC_VIRTUAL_INTERRUPT_DELIVERY;
    uint64_t ept = (secondary & SEC_EPT) ? capabilities->ept_vpid : 0;
    uint64_t vpid = (secondary & SEC_VPID) ? capabilities->ept_vpid : 0;
    bool invept = ept & EPT_CAP_INVEPT;
    bool invvpid = vpid & VPID_CAP_INVVPID;

    return (struct vmx_features){
        .revision = capabilities->basic & BASIC_REVISION_MASK,
        .true_controls = capabilities->basic & BASIC_TRUE_CONTROLS,
        .vpid = secondary & SEC_VPID,
        .unrestricted_guest = secondary & SEC_UNRESTRICTED_GUEST,
        .preemption_timer = pin & PIN_PREEMPTION_TIMER,
        .preemption_shift = capabilities->misc & MISC_PREEMPTION_SHIFT,
        .virtual_nmis = pin & PIN_VIRTUAL_NMIS,
        .ept_2m = ept & EPT_CAP_2M,
        .ept_1g = ept & EPT_CAP_1G,
        .ept_execute_only = ept & EPT_CAP_EXECUTE_ONLY,
        .invept_single = invept && (ept & EPT_CAP_INVEPT_SINGLE),
        .invept_all = invept && (ept & EPT_CAP_INVEPT_ALL),
        .invvpid_single = invvpid && (vpid & VPID_CAP_INVVPID_SINGLE),
        .invvpid_all = invvpid && (vpid & VPID_CAP_INVVPID_ALL),
        .pause_loop_exiting = secondary & SEC_PAUSE_LOOP_EXITING,
        .apicv = (processor & PROC_TPR_SHADOW) && (secondary & apicv) == apicv,
        .rdtscp = secondary & SEC_RDTSCP,
        .invpcid = secondary & SEC_INVPCID,
    };
}

int vmx_capabilities_check(const struct vmx_capabilities *capabilities, char error[VMX_ERROR_MAX])
{
    static const struct {
        uint64_t bit;
        const char *name;
    } needed[] = {
        {EPT_CAP_WALK_4, "an EPT page walk of 4 levels"},
        {EPT_CAP_WB, "write-back EPT paging structures"},
    };

    if ((may_be_1(capabilities, VMX_SECONDARY) & SEC_EPT) == 0) {
        describe_missing(capabilities, VMX_SECONDARY, BIT_EPT, error);
        return -ENODEV;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        if (capabilities->ept_vpid & needed[i].bit)
            continue;
        snprintf(error, VMX_ERROR_MAX, "the processor lacks %s (bit %u of IA32_VMX_EPT_VPID_CAP)",
                 needed[i].name, (unsigned)__builtin_ctzll(needed[i].bit));
        return -ENODEV;
    }
    if (!(capabilities->ept_vpid & EPT_CAP_INVEPT) ||
        !(capabilities->ept_vpid & (EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL))) {
        snprintf(error, VMX_ERROR_MAX,
                 "the processor lacks INVEPT (bits 20, 25, 26 of IA32_VMX_EPT_VPID_CAP)");
        return -ENODEV;
    }
    return 0;
}
