/* SPDX-License-Identifier: MIT */
/* The VMX capability MSRs (SDM Appendix A) as values, and what follows from them: features, and
 * control words resolved against what is allowed. Pure: tests feed it the MSRs of any processor. */
#ifndef VMX_CAPABILITIES_H
#define VMX_CAPABILITIES_H

#include "kernel/lib/types.h"
#include "vmx/vmx.h"

enum vmx_control_word {
    VMX_PIN,       /* pin-based VM-execution controls, SDM 24.6.1 */
    VMX_PROCESSOR, /* primary processor-based VM-execution controls, 24.6.2 */
    VMX_SECONDARY, /* secondary processor-based VM-execution controls, 24.6.2 */
    VMX_EXIT,      /* VM-exit controls, 24.7.1 */
    VMX_ENTRY,     /* VM-entry controls, 24.8.1 */
    VMX_CONTROL_WORDS
};

struct vmx_capabilities {
    uint64_t basic;                       /* IA32_VMX_BASIC */
    uint64_t controls[VMX_CONTROL_WORDS]; /* allowed-0 in bits 31:0, allowed-1 in 63:32; of the
                                             TRUE MSRs where they exist; 0: no such MSR */
    uint64_t misc;                        /* IA32_VMX_MISC */
    uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
    uint64_t ept_vpid;                    /* IA32_VMX_EPT_VPID_CAP, 0 where absent */
    uint8_t physical_address_bits;        /* CPUID 0x80000008 */
};

/* Bits of the control words that Atoll sets or audits; the names of all are in vmx/capabilities.c.
 * Each word has its own enum: a bit of another word is a warning. */
enum vmx_pin {
    PIN_EXTERNAL_INTERRUPT_EXITING = 1u << 0,
    PIN_NMI_EXITING = 1u << 3,
    PIN_VIRTUAL_NMIS = 1u << 5,
    PIN_PREEMPTION_TIMER = 1u << 6,
    PIN_POSTED_INTERRUPTS = 1u << 7,
};

enum vmx_processor {
    PROC_INTERRUPT_WINDOW_EXITING = 1u << 2,
    PROC_TSC_OFFSETTING = 1u << 3,
    PROC_HLT_EXITING = 1u << 7,
    PROC_MWAIT_EXITING = 1u << 10,
    PROC_RDPMC_EXITING = 1u << 11,
    PROC_CR3_LOAD_EXITING = 1u << 15,
    PROC_CR3_STORE_EXITING = 1u << 16,
    PROC_TERTIARY_CONTROLS = 1u << 17,
    PROC_CR8_LOAD_EXITING = 1u << 19,
    PROC_CR8_STORE_EXITING = 1u << 20,
    PROC_TPR_SHADOW = 1u << 21,
    PROC_NMI_WINDOW_EXITING = 1u << 22,
    PROC_UNCONDITIONAL_IO_EXITING = 1u << 24,
    PROC_IO_BITMAPS = 1u << 25,
    PROC_MONITOR_TRAP_FLAG = 1u << 27,
    PROC_MSR_BITMAPS = 1u << 28,
    PROC_MONITOR_EXITING = 1u << 29,
    PROC_SECONDARY_CONTROLS = 1u << 31,
};

enum vmx_secondary {
    SEC_VIRTUALIZE_APIC_ACCESSES = 1u << 0,
    SEC_EPT = 1u << 1,
    SEC_RDTSCP = 1u << 3,
    SEC_VIRTUALIZE_X2APIC = 1u << 4,
    SEC_VPID = 1u << 5,
    SEC_WBINVD_EXITING = 1u << 6,
    SEC_UNRESTRICTED_GUEST = 1u << 7,
    SEC_APIC_REGISTER_VIRTUALIZATION = 1u << 8,
    SEC_VIRTUAL_INTERRUPT_DELIVERY = 1u << 9,
    SEC_PAUSE_LOOP_EXITING = 1u << 10,
    SEC_RDRAND_EXITING = 1u << 11,
    SEC_INVPCID = 1u << 12,
    SEC_VM_FUNCTIONS = 1u << 13,
    SEC_VMCS_SHADOWING = 1u << 14,
    SEC_ENCLS_EXITING = 1u << 15,
    SEC_RDSEED_EXITING = 1u << 16,
    SEC_PML = 1u << 17,
    SEC_EPT_VIOLATION_VE = 1u << 18,
    SEC_MODE_BASED_EXECUTE = 1u << 22,
    SEC_SUB_PAGE_WRITE = 1u << 23,
    SEC_PT_GUEST_PHYSICAL = 1u << 24,
};

enum vmx_exit_control {
    EXITC_SAVE_DEBUG = 1u << 2,
    EXITC_HOST_64BIT = 1u << 9,
    EXITC_ACKNOWLEDGE_INTERRUPT = 1u << 15,
    EXITC_SAVE_PAT = 1u << 18,
    EXITC_LOAD_PAT = 1u << 19,
    EXITC_SAVE_EFER = 1u << 20,
    EXITC_LOAD_EFER = 1u << 21,
    EXITC_SAVE_PREEMPTION_TIMER = 1u << 22,
    EXITC_LOAD_CET = 1u << 28,
    EXITC_LOAD_PKRS = 1u << 29,
};

enum vmx_entry_control {
    ENTRYC_LOAD_DEBUG = 1u << 2,
    ENTRYC_IA32E_GUEST = 1u << 9,
    ENTRYC_ENTRY_TO_SMM = 1u << 10,
    ENTRYC_DEACTIVATE_DUAL_MONITOR = 1u << 11,
    ENTRYC_LOAD_PAT = 1u << 14,
    ENTRYC_LOAD_EFER = 1u << 15,
    ENTRYC_LOAD_BNDCFGS = 1u << 16,
    ENTRYC_LOAD_CET = 1u << 20,
    ENTRYC_LOAD_PKRS = 1u << 22,
};

/* Bits of the other capability MSRs. */
#define BASIC_REVISION_MASK       0x7fffffffull /* A.1: VMCS revision identifier */
#define BASIC_32BIT_ADDRESSES     BIT(48)       /* A.1: VMX structures lie below 4 GiB */
#define BASIC_TRUE_CONTROLS       BIT(55)       /* A.1: the TRUE MSRs exist */
#define BASIC_ANY_ERROR_CODE      BIT(56)       /* A.1: exceptions with or without error code */
#define MISC_PREEMPTION_SHIFT     0x1full       /* A.6: one count every 2^shift TSC ticks */
#define MISC_ACTIVITY_HLT         BIT(6)
#define MISC_ACTIVITY_SHUTDOWN    BIT(7)
#define MISC_ACTIVITY_WAIT_SIPI   BIT(8)
#define MISC_CR3_TARGETS(misc)    (((misc) >> 16) & 0x1ff)
#define MISC_ZERO_LENGTH_INJECT   BIT(30)       /* software events of instruction length 0 */
#define EPT_CAP_EXECUTE_ONLY      BIT(0)        /* A.10 */
#define EPT_CAP_WALK_4            BIT(6)
#define EPT_CAP_WALK_5            BIT(7)
#define EPT_CAP_UC                BIT(8)
#define EPT_CAP_WB                BIT(14)
#define EPT_CAP_2M                BIT(16)
#define EPT_CAP_1G                BIT(17)
#define EPT_CAP_INVEPT            BIT(20)
#define EPT_CAP_ACCESSED_DIRTY    BIT(21)
#define EPT_CAP_SHADOW_STACK      BIT(23)
#define EPT_CAP_INVEPT_SINGLE     BIT(25)
#define EPT_CAP_INVEPT_ALL        BIT(26)
#define VPID_CAP_INVVPID          BIT(32)
#define VPID_CAP_INVVPID_SINGLE   BIT(41)
#define VPID_CAP_INVVPID_ALL      BIT(42)

/* Resolves one control word: every `required` bit must be allowed to be 1; `wanted` bits are set
 * where allowed; all others are 0 where allowed, and those that must be 1 are 1 (default1).
 * Returns 0 and the word, or -ENODEV and one line in `error` that names the first missing bit in
 * the SDM's words and the MSR that denies it. */
MUST_CHECK int vmx_controls_resolve(const struct vmx_capabilities *capabilities,
                                    enum vmx_control_word word, uint32_t required, uint32_t wanted,
                                    uint32_t *value, char error[VMX_ERROR_MAX]);

/* The SDM's name of a bit of a control word, or NULL. */
const char *vmx_control_name(enum vmx_control_word word, unsigned bit);

/* What the capabilities offer. */
struct vmx_features vmx_features_from(const struct vmx_capabilities *capabilities);

/* Checks what Atoll cannot do without, apart from control bits: EPT with a page walk of 4 levels
 * and write-back paging structures. 0, or -ENODEV and `error`. */
MUST_CHECK int vmx_capabilities_check(const struct vmx_capabilities *capabilities,
                                      char error[VMX_ERROR_MAX]);

/* Fills the structure from the MSRs of the calling processor (vmx/processor.c). */
void vmx_capabilities_read(struct vmx_capabilities *capabilities);

#endif
