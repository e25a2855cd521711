/* SPDX-License-Identifier: MIT */
/* A snapshot in the SDM's words: names of fields and registers, and the bits of those that have
 * some. Pure. */
#include <stdarg.h>

#include "kernel/lib/format.h"
#include "kernel/lib/x86_bits.h"
#include "vmx/audit.h"
#include "vmx/instruction_error.h"
#include "vmx/processor.h"

/* ---- Text that grows ------------------------------------------------------------------------- */

/* Words with `between` between them. What does not fit is cut. */
struct list {
    char *text;
    size_t size, length;
    const char *between;
    const struct vmx_snapshot *snapshot; /* that the value is of */
};

__attribute__((format(printf, 2, 3))) static void add(struct list *list, const char *format, ...)
{
    va_list args;

    for (const char *c = list->between; *c && list->length > 0 && list->length + 1 < list->size;
         c++)
        list->text[list->length++] = *c;
    size_t left = list->size - list->length;
    va_start(args, format);
    int length = vsnprintf(list->text + list->length, left, format, args);
    va_end(args);
    list->length += MIN((size_t)MAX(length, 0), left - 1);
}

static unsigned bits(uint64_t value, unsigned low, unsigned width)
{
    return (unsigned)(value >> low & (BIT(width) - 1));
}

/* ---- Flags ----------------------------------------------------------------------------------- */

#define FLAGS 32

static const char *const cr0_flags[FLAGS] = {
    [0] = "PE",  [1] = "MP",  [2] = "EM",  [3] = "TS",  [4] = "ET",  [5] = "NE",
    [16] = "WP", [18] = "AM", [29] = "NW", [30] = "CD", [31] = "PG",
};

static const char *const cr4_flags[FLAGS] = {
    [0] = "VME",         [1] = "PVI",    [2] = "TSD",      [3] = "DE",    [4] = "PSE",
    [5] = "PAE",         [6] = "MCE",    [7] = "PGE",      [8] = "PCE",   [9] = "OSFXSR",
    [10] = "OSXMMEXCPT", [11] = "UMIP",  [12] = "LA57",    [13] = "VMXE", [14] = "SMXE",
    [16] = "FSGSBASE",   [17] = "PCIDE", [18] = "OSXSAVE", [19] = "KL",   [20] = "SMEP",
    [21] = "SMAP",       [22] = "PKE",   [23] = "CET",     [24] = "PKS",  [25] = "UINTR",
    [28] = "LAM_SUP",
};

static const char *const efer_flags[FLAGS] = {
    [0] = "SCE", [8] = "LME", [10] = "LMA", [11] = "NXE"};

static const char *const debugctl_flags[FLAGS] = {
    [0] = "LBR", [1] = "BTF", [6] = "TR", [7] = "BTS", [8] = "BTINT", [9] = "BTS_OFF_OS",
    [10] = "BTS_OFF_USR", [11] = "FREEZE_LBRS_ON_PMI", [12] = "FREEZE_PERFMON_ON_PMI",
    [13] = "UNCORE_PMI_EN", [14] = "FREEZE_WHILE_SMM", [15] = "RTM_DEBUG",
};

static const char *const xcr0_flags[FLAGS] = {
    [0] = "x87",    [1] = "SSE",       [2] = "AVX",      [3] = "BNDREGS", [4] = "BNDCSR",
    [5] = "opmask", [6] = "ZMM_Hi256", [7] = "Hi16_ZMM", [9] = "PKRU",
};

static const char *const interruptibility_flags[FLAGS] = {
    [0] = "blocking by STI", [1] = "blocking by MOV SS",   [2] = "blocking by SMI",
    [3] = "blocking by NMI", [4] = "enclave interruption",
};

static const char *const pending_debug_flags[FLAGS] = {
    [0] = "B0",  [1] = "B1",   [2] = "B2", [3] = "B3", [11] = "BLD", [12] = "enabled breakpoint",
    [14] = "BS", [16] = "RTM",
};

static const char *const vm_function_flags[FLAGS] = {[0] = "EPTP switching"};

/* The bits that are 1; those without a name as one number. */
static void add_flags(struct list *list, uint64_t value, const char *const names[FLAGS])
{
    uint64_t unnamed = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(value & BIT(bit)))
            continue;
        if (bit < FLAGS && names[bit])
            add(list, "%s", names[bit]);
        else
            unnamed |= BIT(bit);
    }
    if (unnamed)
        add(list, "reserved 0x%llx", (unsigned long long)unnamed);
}

static void add_controls(struct list *list, uint64_t value, enum vmx_control_word word)
{
    const char *names[FLAGS];

    for (unsigned bit = 0; bit < FLAGS; bit++)
        names[bit] = vmx_control_name(word, bit);
    list->between = ", ";
    add_flags(list, value, names);
}

static void add_pin(struct list *list, uint64_t value)
{
    add_controls(list, value, VMX_PIN);
}

static void add_processor(struct list *list, uint64_t value)
{
    add_controls(list, value, VMX_PROCESSOR);
}

static void add_secondary(struct list *list, uint64_t value)
{
    add_controls(list, value, VMX_SECONDARY);
}

static void add_exit_controls(struct list *list, uint64_t value)
{
    add_controls(list, value, VMX_EXIT);
}

static void add_entry_controls(struct list *list, uint64_t value)
{
    add_controls(list, value, VMX_ENTRY);
}

static void add_cr0(struct list *list, uint64_t value)
{
    add_flags(list, value, cr0_flags);
}

static void add_cr4(struct list *list, uint64_t value)
{
    add_flags(list, value, cr4_flags);
}

/* Masks have bits where the register has none. */
static void add_mask(struct list *list, uint64_t value, const char *const names[FLAGS])
{
    if (value == UINT64_MAX)
        add(list, "all");
    else
        add_flags(list, value, names);
}

static void add_cr0_mask(struct list *list, uint64_t value)
{
    add_mask(list, value, cr0_flags);
}

static void add_cr4_mask(struct list *list, uint64_t value)
{
    add_mask(list, value, cr4_flags);
}

static void add_efer(struct list *list, uint64_t value)
{
    add_flags(list, value, efer_flags);
}

static void add_debugctl(struct list *list, uint64_t value)
{
    add_flags(list, value, debugctl_flags);
}

static void add_xcr0(struct list *list, uint64_t value)
{
    add_flags(list, value, xcr0_flags);
}

static void add_interruptibility(struct list *list, uint64_t value)
{
    list->between = ", ";
    add_flags(list, value, interruptibility_flags);
}

static void add_pending_debug(struct list *list, uint64_t value)
{
    list->between = ", ";
    add_flags(list, value, pending_debug_flags);
}

static void add_vm_functions(struct list *list, uint64_t value)
{
    list->between = ", ";
    add_flags(list, value, vm_function_flags);
}

/* SDM Vol. 3A, 2.3: bit 1 is always 1, bits 13:12 are the I/O privilege level. */
static void add_rflags(struct list *list, uint64_t value)
{
    static const char *const names[FLAGS] = {
        [0] = "CF", [2] = "PF",  [4] = "AF",  [6] = "ZF",  [7] = "SF",  [8] = "TF",
        [9] = "IF", [10] = "DF", [11] = "OF", [14] = "NT", [16] = "RF", [17] = "VM",
        [18] = "AC", [19] = "VIF", [20] = "VIP", [21] = "ID",
    };

    add_flags(list, value & ~(RFLAGS_FIXED | 0x3000), names);
    if (bits(value, 12, 2))
        add(list, "IOPL=%u", bits(value, 12, 2));
}

/* SDM Vol. 3B, 17.2.3: bit 16 is 0 for a #DB within a transaction. */
static void add_dr6(struct list *list, uint64_t value)
{
    static const char *const names[FLAGS] = {[0] = "B0",  [1] = "B1",  [2] = "B2", [3] = "B3",
                                             [13] = "BD", [14] = "BS", [15] = "BT"};

    add_flags(list, value & 0xe00f, names);
    if (!(value & BIT(16)))
        add(list, "RTM");
}

/* SDM Vol. 3B, 17.2.4. Bit 10 is always 1; R/W and LEN only of breakpoints that are on. */
static void add_dr7(struct list *list, uint64_t value)
{
    static const char *const names[FLAGS] = {
        [0] = "L0", [1] = "G0", [2] = "L1", [3] = "G1", [4] = "L2",  [5] = "G2",
        [6] = "L3", [7] = "G3", [8] = "LE", [9] = "GE", [11] = "RTM", [13] = "GD",
    };
    static const char *const types[] = {"execute", "write", "I/O", "read/write"};
    static const unsigned lengths[] = {1, 2, 8, 4};

    add_flags(list, value & 0xfbff, names);
    for (unsigned i = 0; i < 4; i++)
        if (bits(value, 2 * i, 2))
            add(list, "%u:%s/%u", i, types[bits(value, 16 + 4 * i, 2)],
                lengths[bits(value, 18 + 4 * i, 2)]);
}

/* ---- Other fields of the VMCS ---------------------------------------------------------------- */

static void add_exceptions(struct list *list, uint64_t value)
{
    const char *names[FLAGS];

    for (unsigned vector = 0; vector < FLAGS; vector++)
        names[vector] = vmx_exception_name(vector);
    add_flags(list, value, names);
}

/* SDM Vol. 3A, table 11-10. */
static const char *memory_type(unsigned type)
{
    static const char *const names[] = {"UC", "WC", "type 2", "type 3", "WT", "WP", "WB", "UC-"};

    return type < ARRAY_SIZE(names) ? names[type] : "reserved";
}

/* PA0 first. */
static void add_pat(struct list *list, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        add(list, "%s", memory_type(bits(value, 8 * i, 8)));
}

/* SDM 24.6.11. */
static void add_ept_pointer(struct list *list, uint64_t value)
{
    list->between = ", ";
    add(list, "%s", memory_type(bits(value, 0, 3)));
    add(list, "page-walk length %u", bits(value, 3, 3) + 1);
    if (bits(value, 6, 1))
        add(list, "accessed and dirty flags");
}

/* SDM 24.4.1, table 24-2. A system segment's type: Vol. 3A, table 3-2. */
static void add_access_rights(struct list *list, uint64_t value)
{
    static const char *const systems[16] = {
        [1] = "16-bit TSS", [2] = "LDT", [3] = "busy 16-bit TSS", [9] = "TSS", [11] = "busy TSS"};
    unsigned type = ACCESS_TYPE(value);

    if (value & ACCESS_UNUSABLE) {
        add(list, "unusable");
        return;
    }
    if (!bits(value, 4, 1)) {
        if (systems[type])
            add(list, "%s", systems[type]);
        else
            add(list, "system type %u", type);
    } else if (type & 8) {
        add(list, "code%s", type & 2 ? " readable" : "");
        if (type & 4)
            add(list, "conforming");
    } else {
        add(list, "data%s", type & 2 ? " writable" : "");
        if (type & 4)
            add(list, "expand-down");
    }
    if (bits(value, 4, 1) && (type & 1))
        add(list, "accessed");
    add(list, "DPL %u", ACCESS_DPL(value));
    if (!bits(value, 7, 1))
        add(list, "not present");
    if (value & ACCESS_L)
        add(list, "64-bit");
    else if (bits(value, 14, 1))
        add(list, "32-bit");
    if (bits(value, 15, 1))
        add(list, "G");
}

/* SDM 24.4.2. */
static void add_activity(struct list *list, uint64_t value)
{
    static const char *const names[] = {"active", "HLT", "shutdown", "wait-for-SIPI"};

    add(list, "%s", value < ARRAY_SIZE(names) ? names[value] : "reserved");
}

static void add_interrupt_status(struct list *list, uint64_t value)
{
    add(list, "RVI=0x%x SVI=0x%x", bits(value, 0, 8), bits(value, 8, 8));
}

static void add_link_pointer(struct list *list, uint64_t value)
{
    if (value == UINT64_MAX)
        add(list, "none");
}

static uint64_t of(const struct list *list, enum vmcs_index i)
{
    return list->snapshot->field[i];
}

static void add_event(struct list *list, uint64_t info, enum vmcs_index error_code)
{
    char event[64];

    if (vmx_event_describe(event, sizeof event, (uint32_t)info, (uint32_t)of(list, error_code)) > 0)
        add(list, "%s", event);
    else
        add(list, "none");
}

static void add_entry_event(struct list *list, uint64_t value)
{
    add_event(list, value, INDEX_ENTRY_EXCEPTION_ERROR);
}

static void add_exit_event(struct list *list, uint64_t value)
{
    add_event(list, value, INDEX_EXIT_INTERRUPTION_ERROR);
}

static void add_vectoring_event(struct list *list, uint64_t value)
{
    add_event(list, value, INDEX_IDT_VECTORING_ERROR);
}

static void add_instruction_error(struct list *list, uint64_t value)
{
    if (value)
        add(list, "%s", vmx_instruction_error_name((uint32_t)value));
}

/* Before its first exit a vCPU has no reason: 0 would be "exception or NMI". */
static void add_exit_reason(struct list *list, uint64_t value)
{
    list->between = ", ";
    if (!list->snapshot->complete)
        return;
    add(list, "%s", vmx_exit_name(bits(value, 0, 16)));
    if (bits(value, 31, 1))
        add(list, "VM-entry failure");
}

static void add_qualification(struct list *list, uint64_t value)
{
    char text[160];
    const struct vm_exit exit = {
        .reason = bits(of(list, INDEX_EXIT_REASON), 0, 16),
        .entry_failed = bits(of(list, INDEX_EXIT_REASON), 31, 1),
        .length = (uint32_t)of(list, INDEX_EXIT_INSTRUCTION_LENGTH),
        .rip = of(list, INDEX_GUEST_RIP),
        .qualification = value,
        .guest_physical = of(list, INDEX_GUEST_PHYSICAL_ADDRESS),
        .guest_linear = of(list, INDEX_GUEST_LINEAR_ADDRESS),
        .interruption_info = (uint32_t)of(list, INDEX_EXIT_INTERRUPTION_INFO),
        .error_code = (uint32_t)of(list, INDEX_EXIT_INTERRUPTION_ERROR),
        .instruction_info = (uint32_t)of(list, INDEX_EXIT_INSTRUCTION_INFO),
    };
    /* The registers are those of the exit but for what its handler has written since: results. */
    bool overwritten = exit.reason == EXIT_CPUID || exit.reason == EXIT_VMCALL;

    if (!list->snapshot->complete || overwritten)
        return;
    if (vmx_exit_describe(text, sizeof text, &exit, list->snapshot->gpr) > 0)
        add(list, "%s", text);
}

/* What is said of a field beside its value. */
static void (*const decoders[VMCS_FIELDS])(struct list *list, uint64_t value) = {
    [INDEX_GUEST_INTERRUPT_STATUS] = add_interrupt_status,
    [INDEX_VM_FUNCTION_CONTROLS] = add_vm_functions,
    [INDEX_EPT_POINTER] = add_ept_pointer,
    [INDEX_VMCS_LINK_POINTER] = add_link_pointer,
    [INDEX_GUEST_DEBUGCTL] = add_debugctl,
    [INDEX_GUEST_PAT] = add_pat,
    [INDEX_GUEST_EFER] = add_efer,
    [INDEX_HOST_PAT] = add_pat,
    [INDEX_HOST_EFER] = add_efer,
    [INDEX_PIN_CONTROLS] = add_pin,
    [INDEX_PROCESSOR_CONTROLS] = add_processor,
    [INDEX_SECONDARY_CONTROLS] = add_secondary,
    [INDEX_EXCEPTION_BITMAP] = add_exceptions,
    [INDEX_EXIT_CONTROLS] = add_exit_controls,
    [INDEX_ENTRY_CONTROLS] = add_entry_controls,
    [INDEX_ENTRY_INTERRUPTION_INFO] = add_entry_event,
    [INDEX_INSTRUCTION_ERROR] = add_instruction_error,
    [INDEX_EXIT_REASON] = add_exit_reason,
    [INDEX_EXIT_INTERRUPTION_INFO] = add_exit_event,
    [INDEX_IDT_VECTORING_INFO] = add_vectoring_event,
    [INDEX_GUEST_ES_ACCESS ... INDEX_GUEST_TR_ACCESS] = add_access_rights,
    [INDEX_GUEST_INTERRUPTIBILITY] = add_interruptibility,
    [INDEX_GUEST_ACTIVITY] = add_activity,
    [INDEX_CR0_MASK] = add_cr0_mask,
    [INDEX_CR4_MASK] = add_cr4_mask,
    [INDEX_CR0_SHADOW] = add_cr0,
    [INDEX_CR4_SHADOW] = add_cr4,
    [INDEX_EXIT_QUALIFICATION] = add_qualification,
    [INDEX_GUEST_CR0] = add_cr0,
    [INDEX_GUEST_CR4] = add_cr4,
    [INDEX_GUEST_DR7] = add_dr7,
    [INDEX_GUEST_RFLAGS] = add_rflags,
    [INDEX_GUEST_PENDING_DEBUG] = add_pending_debug,
    [INDEX_HOST_CR0] = add_cr0,
    [INDEX_HOST_CR4] = add_cr4,
};

bool vmx_snapshot_field(const struct vmx_snapshot *s, unsigned i, struct vmx_value *value)
{
    if (i >= VMCS_FIELDS)
        return false;
    value->name = vmcs_fields[i].name;
    value->encoding = vmcs_fields[i].encoding;
    value->present = s->present[i / 64] & BIT(i % 64);
    value->value = s->field[i];
    value->text[0] = '\0';
    struct list list = {value->text, sizeof value->text, 0, " ", s};
    if (value->present && decoders[i])
        decoders[i](&list, value->value);
    return true;
}

/* ---- Registers ------------------------------------------------------------------------------- */

#define GPR(number)  offsetof(struct vmx_snapshot, gpr[number])
#define FIELD(name)  offsetof(struct vmx_snapshot, field[INDEX_GUEST_##name])
#define OTHER(place) offsetof(struct vmx_snapshot, place)

static const struct {
    const char *name;
    size_t offset; /* in a snapshot */
    void (*decode)(struct list *list, uint64_t value);
} registers[] = {
    {"RIP", FIELD(RIP), NULL},
    {"RFLAGS", FIELD(RFLAGS), add_rflags},
    {"RAX", GPR(VMX_RAX), NULL},
    {"RBX", GPR(VMX_RBX), NULL},
    {"RCX", GPR(VMX_RCX), NULL},
    {"RDX", GPR(VMX_RDX), NULL},
    {"RSI", GPR(VMX_RSI), NULL},
    {"RDI", GPR(VMX_RDI), NULL},
    {"RBP", GPR(VMX_RBP), NULL},
    {"RSP", GPR(VMX_RSP), NULL},
    {"R8", GPR(VMX_R8), NULL},
    {"R9", GPR(VMX_R9), NULL},
    {"R10", GPR(VMX_R10), NULL},
    {"R11", GPR(VMX_R11), NULL},
    {"R12", GPR(VMX_R12), NULL},
    {"R13", GPR(VMX_R13), NULL},
    {"R14", GPR(VMX_R14), NULL},
    {"R15", GPR(VMX_R15), NULL},
    {"CR0", OTHER(cr0), add_cr0},
    {"CR2", OTHER(cr2), NULL},
    {"CR3", OTHER(cr3), NULL},
    {"CR8", OTHER(cr8), NULL},
    {"CR4", OTHER(cr4), add_cr4},
    {"EFER", OTHER(efer), add_efer},
    {"XCR0", OTHER(xcr0), add_xcr0},
    {"DR0", OTHER(dr[0]), NULL},
    {"DR1", OTHER(dr[1]), NULL},
    {"DR2", OTHER(dr[2]), NULL},
    {"DR3", OTHER(dr[3]), NULL},
    {"DR6", OTHER(dr6), add_dr6},
    {"DR7", FIELD(DR7), add_dr7},
    {"PAT", FIELD(PAT), add_pat},
    {"STAR", OTHER(star), NULL},
    {"LSTAR", OTHER(lstar), NULL},
    {"CSTAR", OTHER(cstar), NULL},
    {"FMASK", OTHER(fmask), NULL},
    {"KERNEL_GS_BASE", OTHER(kernel_gs_base), NULL},
    {"TSC", OTHER(tsc), NULL},
    {"SYSENTER_CS", FIELD(SYSENTER_CS), NULL},
    {"TSC_AUX", OTHER(tsc_aux), NULL},
    {"SYSENTER_ESP", FIELD(SYSENTER_ESP), NULL},
    {"SYSENTER_EIP", FIELD(SYSENTER_EIP), NULL},
};

bool vmx_snapshot_register(const struct vmx_snapshot *s, unsigned i, struct vmx_value *value)
{
    if (i >= ARRAY_SIZE(registers))
        return false;
    value->name = registers[i].name;
    value->encoding = 0;
    value->present = true;
    value->value = *(const uint64_t *)((const char *)s + registers[i].offset);
    value->text[0] = '\0';
    struct list list = {value->text, sizeof value->text, 0, " ", s};
    if (registers[i].decode)
        registers[i].decode(&list, value->value);
    return true;
}

bool vmx_snapshot_segment(const struct vmx_snapshot *s, unsigned i, struct vmx_segment *segment)
{
    static const char *const names[] = {"ES", "CS",   "SS", "DS",   "FS",
                                        "GS", "LDTR", "TR", "GDTR", "IDTR"};
    static const unsigned with_selector = 8;

    if (i >= ARRAY_SIZE(names))
        return false;
    *segment = (struct vmx_segment){
        .name = names[i],
        .table = i >= with_selector,
        .base = s->field[INDEX_GUEST_ES_BASE + i],
        .limit = (uint32_t)s->field[INDEX_GUEST_ES_LIMIT + i],
    };
    if (segment->table)
        return true;
    segment->selector = (uint16_t)s->field[INDEX_GUEST_ES_SELECTOR + i];
    segment->access = (uint32_t)s->field[INDEX_GUEST_ES_ACCESS + i];
    struct list list = {segment->text, sizeof segment->text, 0, " ", s};
    add_access_rights(&list, segment->access);
    return true;
}

/* ---- The auditor ----------------------------------------------------------------------------- */

unsigned vmx_snapshot_audit(const struct vmx_snapshot *s, vmx_audit_report_fn *report,
                            void *context)
{
    _Static_assert(sizeof(struct vmcs_image) == sizeof s->field, "both are plain values");
    return vmx_audit_image((const struct vmcs_image *)(const void *)s->field, &vmx_common, report,
                           context);
}
