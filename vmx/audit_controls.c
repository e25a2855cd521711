/* SPDX-License-Identifier: MIT */
/* The auditor on the VM-execution, VM-exit and VM-entry control fields: SDM 26.2.1.1 to 26.2.1.3.
 * Rules that need memory (VTPR, the MSR lists themselves) are not checked. */
#include "vmx/audit_rules.h"

#include "kernel/lib/x86_bits.h"

#define EXECUTION "26.2.1.1"
#define EXIT      "26.2.1.2"
#define ENTRY     "26.2.1.3"

static void control_words(struct audit *audit)
{
    audit_control_word(audit, EXECUTION, INDEX_PIN_CONTROLS, VMX_PIN);
    audit_control_word(audit, EXECUTION, INDEX_PROCESSOR_CONTROLS, VMX_PROCESSOR);
    if (audit_processor(audit, PROC_SECONDARY_CONTROLS))
        audit_control_word(audit, EXECUTION, INDEX_SECONDARY_CONTROLS, VMX_SECONDARY);
}

/* A secondary control that needs another one. */
static void secondary_dependencies(struct audit *audit)
{
    static const struct {
        enum vmx_secondary control, needs;
        const char *expected;
    } rules[] = {
        {SEC_UNRESTRICTED_GUEST, SEC_EPT, "\"unrestricted guest\" needs \"enable EPT\""},
        {SEC_PML, SEC_EPT, "\"enable PML\" needs \"enable EPT\""},
        {SEC_MODE_BASED_EXECUTE, SEC_EPT,
         "\"mode-based execute control for EPT\" needs \"enable EPT\""},
        {SEC_SUB_PAGE_WRITE, SEC_EPT,
         "\"sub-page write permissions for EPT\" needs \"enable EPT\""},
        {SEC_PT_GUEST_PHYSICAL, SEC_EPT,
         "\"Intel PT uses guest physical addresses\" needs \"enable EPT\""},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        audit_rule(audit, EXECUTION, INDEX_SECONDARY_CONTROLS,
                   !audit_secondary(audit, rules[i].control) ||
                       audit_secondary(audit, rules[i].needs),
                   rules[i].expected);
}

static void page_addresses(struct audit *audit)
{
    if (audit_processor(audit, PROC_IO_BITMAPS)) {
        audit_address(audit, EXECUTION, INDEX_IO_BITMAP_A, PAGE_SIZE);
        audit_address(audit, EXECUTION, INDEX_IO_BITMAP_B, PAGE_SIZE);
    }
    if (audit_processor(audit, PROC_MSR_BITMAPS))
        audit_address(audit, EXECUTION, INDEX_MSR_BITMAPS, PAGE_SIZE);
    if (audit_processor(audit, PROC_TPR_SHADOW))
        audit_address(audit, EXECUTION, INDEX_VIRTUAL_APIC_ADDRESS, PAGE_SIZE);

    static const struct {
        enum vmx_secondary control;
        enum vmcs_index field;
    } secondary[] = {
        {SEC_VIRTUALIZE_APIC_ACCESSES, INDEX_APIC_ACCESS_ADDRESS},
        {SEC_PML, INDEX_PML_ADDRESS},
        {SEC_VMCS_SHADOWING, INDEX_VMREAD_BITMAP},
        {SEC_VMCS_SHADOWING, INDEX_VMWRITE_BITMAP},
        {SEC_EPT_VIOLATION_VE, INDEX_VE_INFORMATION_ADDRESS},
        {SEC_SUB_PAGE_WRITE, INDEX_SPP_TABLE_POINTER},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(secondary); i++)
        if (audit_secondary(audit, secondary[i].control))
            audit_address(audit, EXECUTION, secondary[i].field, PAGE_SIZE);
}

static void nmi_controls(struct audit *audit)
{
    bool virtual_nmis = audit_pin(audit, PIN_VIRTUAL_NMIS);

    audit_rule(audit, EXECUTION, INDEX_PIN_CONTROLS,
               !virtual_nmis || audit_pin(audit, PIN_NMI_EXITING),
               "\"virtual NMIs\" needs \"NMI exiting\"");
    audit_rule(audit, EXECUTION, INDEX_PROCESSOR_CONTROLS,
               virtual_nmis || !audit_processor(audit, PROC_NMI_WINDOW_EXITING),
               "\"NMI-window exiting\" needs \"virtual NMIs\"");
}

#define TPR_THRESHOLD_RESERVED 0xfffffff0u

static void virtual_apic(struct audit *audit)
{
    bool tpr_shadow = audit_processor(audit, PROC_TPR_SHADOW);
    bool delivery = audit_secondary(audit, SEC_VIRTUAL_INTERRUPT_DELIVERY);
    bool x2apic = audit_secondary(audit, SEC_VIRTUALIZE_X2APIC);

    audit_rule(audit, EXECUTION, INDEX_TPR_THRESHOLD,
               !tpr_shadow || delivery ||
                   !(audit_value(audit, INDEX_TPR_THRESHOLD) & TPR_THRESHOLD_RESERVED),
               "bits 31:4 must be 0 with \"use TPR shadow\"");
    audit_rule(audit, EXECUTION, INDEX_SECONDARY_CONTROLS, tpr_shadow || !x2apic,
               "\"virtualize x2APIC mode\" needs \"use TPR shadow\"");
    audit_rule(audit, EXECUTION, INDEX_SECONDARY_CONTROLS,
               tpr_shadow || !audit_secondary(audit, SEC_APIC_REGISTER_VIRTUALIZATION),
               "\"APIC-register virtualization\" needs \"use TPR shadow\"");
    audit_rule(audit, EXECUTION, INDEX_SECONDARY_CONTROLS, tpr_shadow || !delivery,
               "\"virtual-interrupt delivery\" needs \"use TPR shadow\"");
    audit_rule(audit, EXECUTION, INDEX_SECONDARY_CONTROLS,
               !x2apic || !audit_secondary(audit, SEC_VIRTUALIZE_APIC_ACCESSES),
               "\"virtualize x2APIC mode\" excludes \"virtualize APIC accesses\"");
    audit_rule(audit, EXECUTION, INDEX_PIN_CONTROLS,
               !delivery || audit_pin(audit, PIN_EXTERNAL_INTERRUPT_EXITING),
               "\"virtual-interrupt delivery\" needs \"external-interrupt exiting\"");
}

static void posted_interrupts(struct audit *audit)
{
    const uint64_t descriptor_size = 64; /* 29.6 */

    if (!audit_pin(audit, PIN_POSTED_INTERRUPTS))
        return;
    audit_rule(audit, EXECUTION, INDEX_PIN_CONTROLS,
               audit_secondary(audit, SEC_VIRTUAL_INTERRUPT_DELIVERY),
               "\"process posted interrupts\" needs \"virtual-interrupt delivery\"");
    audit_rule(audit, EXECUTION, INDEX_EXIT_CONTROLS,
               audit_exit(audit, EXITC_ACKNOWLEDGE_INTERRUPT),
               "\"process posted interrupts\" needs \"acknowledge interrupt on exit\"");
    audit_rule(audit, EXECUTION, INDEX_POSTED_INTERRUPT_VECTOR,
               audit_value(audit, INDEX_POSTED_INTERRUPT_VECTOR) <= UINT8_MAX,
               "must be in the range 0 to 255");
    audit_address(audit, EXECUTION, INDEX_POSTED_INTERRUPT_DESCRIPTOR, descriptor_size);
}

/* The EPT pointer: SDM 24.6.11. */
#define EPTP_TYPE_MASK       7ull
#define EPTP_TYPE_UC         0
#define EPTP_TYPE_WB         6
#define EPTP_WALK(eptp)      (((eptp) >> 3 & 7) + 1)
#define EPTP_ACCESSED_DIRTY  BIT(6)
#define EPTP_SHADOW_STACK    BIT(7)
#define EPTP_RESERVED        0xf00ull

static void ept_pointer(struct audit *audit)
{
    uint64_t eptp = audit_value(audit, INDEX_EPT_POINTER);
    uint64_t can = audit->capabilities->ept_vpid;
    unsigned type = eptp & EPTP_TYPE_MASK, walk = EPTP_WALK(eptp);

    if (!audit_secondary(audit, SEC_EPT))
        return;
    audit_rule(audit, EXECUTION, INDEX_EPT_POINTER,
               (type == EPTP_TYPE_UC && (can & EPT_CAP_UC)) ||
                   (type == EPTP_TYPE_WB && (can & EPT_CAP_WB)),
               "bits 2:0 must be a memory type that IA32_VMX_EPT_VPID_CAP allows");
    audit_rule(audit, EXECUTION, INDEX_EPT_POINTER,
               (walk == 4 && (can & EPT_CAP_WALK_4)) || (walk == 5 && (can & EPT_CAP_WALK_5)),
               "bits 5:3 must be a page-walk length, less 1, that IA32_VMX_EPT_VPID_CAP allows");
    audit_rule(audit, EXECUTION, INDEX_EPT_POINTER,
               !(eptp & EPTP_ACCESSED_DIRTY) || (can & EPT_CAP_ACCESSED_DIRTY),
               "bit 6 must be 0: no accessed and dirty flags for EPT");
    audit_rule(audit, EXECUTION, INDEX_EPT_POINTER,
               !(eptp & EPTP_SHADOW_STACK) || (can & EPT_CAP_SHADOW_STACK),
               "bit 7 must be 0: no supervisor shadow-stack control");
    audit_rule(audit, EXECUTION, INDEX_EPT_POINTER, !(eptp & EPTP_RESERVED),
               "reserved bits 11:8 must be 0");
    audit_physical_width(audit, EXECUTION, INDEX_EPT_POINTER);
}

#define VM_FUNCTION_EPTP_SWITCHING BIT(0)

static void vm_functions(struct audit *audit)
{
    if (!audit_secondary(audit, SEC_VM_FUNCTIONS))
        return;
    uint64_t functions = audit_value(audit, INDEX_VM_FUNCTION_CONTROLS);
    audit_rule(audit, EXECUTION, INDEX_VM_FUNCTION_CONTROLS,
               !(functions & ~VM_FUNCTION_EPTP_SWITCHING), "reserved bits 63:1 must be 0");
    if (!(functions & VM_FUNCTION_EPTP_SWITCHING))
        return;
    audit_rule(audit, EXECUTION, INDEX_VM_FUNCTION_CONTROLS, audit_secondary(audit, SEC_EPT),
               "\"EPTP switching\" needs \"enable EPT\"");
    audit_address(audit, EXECUTION, INDEX_EPTP_LIST_ADDRESS, PAGE_SIZE);
}

static void execution_controls(struct audit *audit)
{
    control_words(audit);
    audit_rule(audit, EXECUTION, INDEX_CR3_TARGET_COUNT,
               audit_value(audit, INDEX_CR3_TARGET_COUNT) <=
                   MISC_CR3_TARGETS(audit->capabilities->misc),
               "more CR3-target values than IA32_VMX_MISC allows");
    page_addresses(audit);
    nmi_controls(audit);
    virtual_apic(audit);
    posted_interrupts(audit);
    audit_rule(audit, EXECUTION, INDEX_VPID,
               !audit_secondary(audit, SEC_VPID) || audit_value(audit, INDEX_VPID) != 0,
               "must not be 0 with \"enable VPID\"");
    ept_pointer(audit);
    secondary_dependencies(audit);
    vm_functions(audit);
}

static void exit_controls(struct audit *audit)
{
    audit_control_word(audit, EXIT, INDEX_EXIT_CONTROLS, VMX_EXIT);
    audit_rule(audit, EXIT, INDEX_EXIT_CONTROLS,
               !audit_exit(audit, EXITC_SAVE_PREEMPTION_TIMER) ||
                   audit_pin(audit, PIN_PREEMPTION_TIMER),
               "\"save VMX-preemption timer value\" needs \"activate VMX-preemption timer\"");
    audit_msr_area(audit, EXIT, INDEX_EXIT_MSR_STORE_ADDRESS, INDEX_EXIT_MSR_STORE_COUNT);
    audit_msr_area(audit, EXIT, INDEX_EXIT_MSR_LOAD_ADDRESS, INDEX_EXIT_MSR_LOAD_COUNT);
}

/* Exceptions that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
#define ERROR_CODE_VECTORS (BIT(EXCEPTION_DF) | BIT(EXCEPTION_TS) | BIT(EXCEPTION_NP) | \
                            BIT(EXCEPTION_SS) | BIT(EXCEPTION_GP) | BIT(EXCEPTION_PF) | \
                            BIT(EXCEPTION_AC))
#define INFO_RESERVED      0x7ffff000u /* bits 30:12 */
#define VECTOR_EXCEPTIONS  32
#define ERROR_CODE_MAX     UINT16_MAX

static void injected_vector(struct audit *audit, enum event_type type, unsigned vector)
{
    bool monitor_trap = audit->capabilities->controls[VMX_PROCESSOR] >> 32 & PROC_MONITOR_TRAP_FLAG;

    switch (type) {
    case EVENT_RESERVED_TYPE:
        audit_rule(audit, ENTRY, INDEX_ENTRY_INTERRUPTION_INFO, false, "type 1 is reserved");
        break;
    case EVENT_NMI:
        audit_rule(audit, ENTRY, INDEX_ENTRY_INTERRUPTION_INFO, vector == EXCEPTION_NMI,
                   "an NMI must have vector 2");
        break;
    case EVENT_HARDWARE_EXCEPTION:
        audit_rule(audit, ENTRY, INDEX_ENTRY_INTERRUPTION_INFO, vector < VECTOR_EXCEPTIONS,
                   "a hardware exception must have a vector of at most 31");
        break;
    case EVENT_OTHER:
        audit_rule(audit, ENTRY, INDEX_ENTRY_INTERRUPTION_INFO, monitor_trap,
                   "type 7 is reserved without \"monitor trap flag\"");
        audit_rule(audit, ENTRY, INDEX_ENTRY_INTERRUPTION_INFO, vector == 0,
                   "type 7 must have vector 0");
        break;
    default:
        break;
    }
}

/* Whether an error code is delivered follows from the vector, unless IA32_VMX_BASIC bit 56 leaves
 * that open; in real mode and outside hardware exceptions there is none. */
static void injected_error_code(struct audit *audit, enum event_type type, unsigned vector)
{
    bool delivers = audit_value(audit, INDEX_ENTRY_INTERRUPTION_INFO) & INFO_ERROR_CODE;
    bool real_mode = audit_secondary(audit, SEC_UNRESTRICTED_GUEST) &&
                     !(audit_value(audit, INDEX_GUEST_CR0) & CR0_PE);
    bool possible = type == EVENT_HARDWARE_EXCEPTION && !real_mode;
    bool due = possible && vector < VECTOR_EXCEPTIONS && (ERROR_CODE_VECTORS & BIT(vector));

    if (possible && (audit->capabilities->basic & BASIC_ANY_ERROR_CODE))
        due = delivers;
    audit_rule(audit, ENTRY, INDEX_ENTRY_INTERRUPTION_INFO, delivers == due,
               due ? "bit 11 must be 1: the exception has an error code"
                   : "bit 11 must be 0: the event has no error code");
    audit_rule(audit, ENTRY, INDEX_ENTRY_EXCEPTION_ERROR,
               !delivers || audit_value(audit, INDEX_ENTRY_EXCEPTION_ERROR) <= ERROR_CODE_MAX,
               "bits 31:16 must be 0");
}

static void injected_event(struct audit *audit)
{
    enum event_type type;
    unsigned vector;

    if (!audit_injects(audit, &type, &vector))
        return;
    audit_rule(audit, ENTRY, INDEX_ENTRY_INTERRUPTION_INFO,
               !(audit_value(audit, INDEX_ENTRY_INTERRUPTION_INFO) & INFO_RESERVED),
               "reserved bits 30:12 must be 0");
    injected_vector(audit, type, vector);
    injected_error_code(audit, type, vector);

    uint64_t length = audit_value(audit, INDEX_ENTRY_INSTRUCTION_LENGTH);
    bool software = type == EVENT_SOFTWARE_INTERRUPT || type == EVENT_SOFTWARE_EXCEPTION ||
                    type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION;
    bool zero = audit->capabilities->misc & MISC_ZERO_LENGTH_INJECT;
    audit_rule(audit, ENTRY, INDEX_ENTRY_INSTRUCTION_LENGTH,
               !software || (length <= INSTRUCTION_MAX && (zero || length > 0)),
               "must be the length of the software event's instruction, at most 15");
}

static void entry_controls(struct audit *audit)
{
    audit_control_word(audit, ENTRY, INDEX_ENTRY_CONTROLS, VMX_ENTRY);
    injected_event(audit);
    audit_msr_area(audit, ENTRY, INDEX_ENTRY_MSR_LOAD_ADDRESS, INDEX_ENTRY_MSR_LOAD_COUNT);
    audit_rule(audit, ENTRY, INDEX_ENTRY_CONTROLS,
               !audit_entry(audit, ENTRYC_ENTRY_TO_SMM) &&
                   !audit_entry(audit, ENTRYC_DEACTIVATE_DUAL_MONITOR),
               "\"entry to SMM\" and \"deactivate dual-monitor treatment\" need SMM");
}

void audit_controls(struct audit *audit)
{
    execution_controls(audit);
    exit_controls(audit);
    entry_controls(audit);
}
