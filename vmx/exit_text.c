/* SPDX-License-Identifier: MIT */
/* VM exits in words: the name of a basic exit reason (SDM Appendix C), its qualification (27.2.1)
 * and instruction information (27.2.5) decoded for the log. Pure: reads the exit and the guest's
 * registers, no VMCS. */
#include "vmx/vmx.h"

#include <stdarg.h>

#include "kernel/lib/format.h"
#include "kernel/lib/x86_bits.h"
#include "vmx/msr_names.h"

const char *vmx_exit_name(uint32_t reason)
{
    switch (reason) {
#define X(number, name, text) \
    case number:              \
        return text;
#include "vmx/exit_reasons.def"
#undef X
    default:
        return "reserved";
    }
}

/* `width` bits of `value` from bit `low` on. */
static unsigned field(uint64_t value, unsigned low, unsigned width)
{
    return (unsigned)(value >> low & (BIT(width) - 1));
}

/* ---- Text that grows ------------------------------------------------------------------------ */

struct line {
    char *text;
    size_t size;
    int length; /* of the whole text, whether it fits or not */
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    size_t used = MIN((size_t)line->length, line->size);
    va_list args;

    va_start(args, format);
    line->length += vsnprintf(used < line->size ? line->text + used : NULL, line->size - used,
                              format, args);
    va_end(args);
}

/* ---- Names ---------------------------------------------------------------------------------- */

static const char *const register_names[VMX_REGISTERS] = {
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15",
};

/* SDM Vol. 3A, Table 6-1. */
static const char *const exception_names[32] = {
    [0] = "#DE",  [1] = "#DB",  [2] = "NMI",  [3] = "#BP",  [4] = "#OF",  [5] = "#BR",
    [6] = "#UD",  [7] = "#NM",  [8] = "#DF",  [10] = "#TS", [11] = "#NP", [12] = "#SS",
    [13] = "#GP", [14] = "#PF", [16] = "#MF", [17] = "#AC", [18] = "#MC", [19] = "#XM",
    [20] = "#VE", [21] = "#CP",
};

const char *vmx_exception_name(unsigned vector)
{
    return vector < ARRAY_SIZE(exception_names) ? exception_names[vector] : NULL;
}

static void add_msr(struct line *line, uint32_t msr)
{
    const struct msr_name *row = msr_name_find(msr);

    add(line, "msr=0x%x", msr);
    if (row)
        add(line, " %s", row->name);
    if (row && row->last > row->first)
        add(line, "+%u", msr - row->first);
}

/* The register's name and value. RSP is in the VMCS, not among the general registers. */
static void add_register(struct line *line, unsigned number, const uint64_t *gpr)
{
    number %= VMX_REGISTERS;
    add(line, "%s", register_names[number]);
    if (number != VMX_RSP)
        add(line, "=0x%lx", gpr[number]);
}

static uint64_t edx_eax(const uint64_t *gpr)
{
    return (uint64_t)(uint32_t)gpr[VMX_RDX] << 32 | (uint32_t)gpr[VMX_RAX];
}

/* ---- Events: SDM 24.9.2, 24.9.3 -------------------------------------------------------------- */

static void add_event(struct line *line, uint32_t info, uint32_t error_code)
{
    unsigned vector = info & INFO_VECTOR;

    switch (INFO_TYPE(info)) {
    case EVENT_EXTERNAL_INTERRUPT:
        add(line, "external interrupt vector=0x%x", vector);
        break;
    case EVENT_NMI:
        add(line, "NMI");
        break;
    case EVENT_SOFTWARE_INTERRUPT:
        add(line, "INT 0x%x", vector);
        break;
    default:
        if (vmx_exception_name(vector))
            add(line, "%s", vmx_exception_name(vector));
        else
            add(line, "exception %u", vector);
    }
    if (info & INFO_ERROR_CODE)
        add(line, " error=0x%x", error_code);
}

int vmx_event_describe(char *text, size_t size, uint32_t info, uint32_t error_code)
{
    struct line line = {.text = text, .size = size};

    if (size > 0)
        *text = '\0';
    if (info & INFO_VALID)
        add_event(&line, info, error_code);
    return line.length;
}

/* SDM Vol. 3A, 4.7. */
static void add_page_fault(struct line *line, uint32_t error_code, uint64_t address)
{
    add(line, " address=0x%lx (%s%s, %s%s%s)", address, field(error_code, 2, 1) ? "user " : "",
        field(error_code, 4, 1)   ? "fetch"
        : field(error_code, 1, 1) ? "write"
                                  : "read",
        field(error_code, 0, 1) ? "protection" : "not present",
        field(error_code, 3, 1) ? ", reserved bit" : "",
        field(error_code, 5, 1) ? ", protection key" : "");
}

/* Table 27-1. */
static void add_debug(struct line *line, uint64_t qualification)
{
    for (unsigned i = 0; i < 4; i++)
        if (field(qualification, i, 1))
            add(line, " B%u", i);
    if (field(qualification, 13, 1))
        add(line, " BD");
    if (field(qualification, 14, 1))
        add(line, " BS");
}

static void describe_exception(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    uint32_t info = exit->interruption_info;

    (void)gpr;
    if (!(info & INFO_VALID))
        return;
    add_event(line, info, exit->error_code);
    if (INFO_TYPE(info) != EVENT_HARDWARE_EXCEPTION)
        return;
    unsigned vector = info & INFO_VECTOR;
    if (vector == EXCEPTION_PF)
        add_page_fault(line, exit->error_code, exit->qualification);
    if (vector == EXCEPTION_DB)
        add_debug(line, exit->qualification);
}

/* Without "acknowledge interrupt on exit" the vector is not known. */
static void describe_interrupt(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)gpr;
    if (exit->interruption_info & INFO_VALID)
        add(line, "vector=0x%x", exit->interruption_info & INFO_VECTOR);
}

static void describe_sipi(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    unsigned vector = field(exit->qualification, 0, 8);

    (void)gpr;
    add(line, "vector=0x%x start=0x%x", vector, vector << PAGE_SHIFT);
}

/* Table 27-2. */
static void describe_task_switch(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    static const char *const sources[] = {"CALL", "IRET", "JMP", "task gate"};

    (void)gpr;
    add(line, "selector=0x%x by %s", field(exit->qualification, 0, 16),
        sources[field(exit->qualification, 30, 2)]);
}

/* ---- Instructions whose operands are registers ----------------------------------------------- */

static void describe_cpuid(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add(line, "leaf=0x%x subleaf=0x%x", (uint32_t)gpr[VMX_RAX], (uint32_t)gpr[VMX_RCX]);
}

static void describe_vmcall(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add(line, "number=0x%lx", gpr[VMX_RAX]);
}

static void describe_rdmsr(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add_msr(line, (uint32_t)gpr[VMX_RCX]);
}

static void describe_wrmsr(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add_msr(line, (uint32_t)gpr[VMX_RCX]);
    add(line, " value=0x%lx", edx_eax(gpr));
}

/* The MSR of the immediate forms stands in the qualification. */
static void describe_msr_immediate(struct line *line, const struct vm_exit *exit,
                                   const uint64_t *gpr)
{
    (void)gpr;
    add_msr(line, (uint32_t)exit->qualification);
}

static void describe_xsetbv(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add(line, "xcr=%u value=0x%lx", (uint32_t)gpr[VMX_RCX], edx_eax(gpr));
}

static void describe_rdpmc(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add(line, "counter=0x%x", (uint32_t)gpr[VMX_RCX]);
}

/* GETSEC, VMFUNC, ENCLS, ENCLV, PCONFIG. */
static void describe_leaf(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add(line, "leaf=0x%x", (uint32_t)gpr[VMX_RAX]);
}

static void describe_xsaves(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add(line, "mask=0x%lx", edx_eax(gpr));
}

static void describe_wait(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)exit;
    add(line, "deadline=0x%lx", edx_eax(gpr));
}

static void describe_invlpg(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)gpr;
    add(line, "linear=0x%lx", exit->qualification);
}

static void describe_mwait(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)gpr;
    add(line, "monitor %s", field(exit->qualification, 0, 1) ? "armed" : "not armed");
}

/* INVEPT, INVVPID, INVPCID: Reg2 holds the type (Table 27-9). */
static void describe_invalidate(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    add(line, "type in ");
    add_register(line, field(exit->instruction_info, 28, 4), gpr);
}

/* RDRAND, RDSEED: Table 27-12. */
static void describe_random(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    static const char *const sizes[] = {"16", "32", "64", "?"};

    (void)gpr;
    add(line, "to %s, %s bits", register_names[field(exit->instruction_info, 3, 4)],
        sizes[field(exit->instruction_info, 11, 2)]);
}

/* VMREAD, VMWRITE: Reg2 holds the field's encoding (Table 27-14). */
static void describe_vmcs_field(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    add(line, "field in ");
    add_register(line, field(exit->instruction_info, 28, 4), gpr);
}

/* Tables 27-10 and 27-11: which instruction it was. */
static void describe_gdtr_idtr(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    static const char *const names[] = {"SGDT", "SIDT", "LGDT", "LIDT"};

    (void)gpr;
    add(line, "%s", names[field(exit->instruction_info, 28, 2)]);
}

static void describe_ldtr_tr(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    static const char *const names[] = {"SLDT", "STR", "LLDT", "LTR"};

    (void)gpr;
    add(line, "%s", names[field(exit->instruction_info, 28, 2)]);
}

/* ---- Control and debug registers, ports: Tables 27-3 to 27-5 --------------------------------- */

struct vmx_cr_access vmx_exit_cr_access(uint64_t qualification)
{
    return (struct vmx_cr_access){
        .cr = field(qualification, 0, 4),
        .type = field(qualification, 4, 2),
        .gpr = field(qualification, 8, 4),
        .lmsw_memory = field(qualification, 6, 1),
        .lmsw_source = field(qualification, 16, 16),
    };
}

static void describe_cr_access(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    struct vmx_cr_access access = vmx_exit_cr_access(exit->qualification);

    switch (access.type) {
    case CR_MOV_TO:
        add(line, "MOV to CR%u from ", access.cr);
        add_register(line, access.gpr, gpr);
        break;
    case CR_MOV_FROM:
        add(line, "MOV from CR%u to %s", access.cr, register_names[access.gpr]);
        break;
    case CR_CLTS:
        add(line, "CLTS");
        break;
    case CR_LMSW:
        add(line, "LMSW 0x%x from %s", access.lmsw_source,
            access.lmsw_memory ? "memory" : "a register");
        break;
    }
}

static void describe_dr_access(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    unsigned dr = field(exit->qualification, 0, 3);
    unsigned number = field(exit->qualification, 8, 4);

    if (field(exit->qualification, 4, 1)) {
        add(line, "MOV from DR%u to %s", dr, register_names[number]);
        return;
    }
    add(line, "MOV to DR%u from ", dr);
    add_register(line, number, gpr);
}

struct vmx_io vmx_exit_io(uint64_t qualification)
{
    return (struct vmx_io){
        .port = field(qualification, 16, 16),
        .size = field(qualification, 0, 3) + 1,
        .in = field(qualification, 3, 1),
        .string = field(qualification, 4, 1),
        .rep = field(qualification, 5, 1),
        .immediate = field(qualification, 6, 1),
    };
}

static void describe_io(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    struct vmx_io io = vmx_exit_io(exit->qualification);

    add(line, "port=0x%x %s%s%s %u byte%s", io.port, io.rep ? "rep " : "", io.in ? "in" : "out",
        io.string ? "s" : "", io.size, io.size > 1 ? "s" : "");
    if (io.string) {
        add(line, " linear=0x%lx", exit->guest_linear);
        if (io.rep)
            add(line, " count=0x%lx", gpr[VMX_RCX]);
    } else if (!io.in) {
        add(line, " value=0x%lx", gpr[VMX_RAX] & (uint64_t)(BIT(8 * MIN(io.size, 4)) - 1));
    }
}

/* ---- Memory and the virtual APIC ------------------------------------------------------------- */

/* Table 27-7. */
static void describe_ept_violation(struct line *line, const struct vm_exit *exit,
                                   const uint64_t *gpr)
{
    uint64_t qualification = exit->qualification;
    bool read = field(qualification, 0, 1), write = field(qualification, 1, 1);

    (void)gpr;
    add(line, "gpa=0x%lx %s, ", exit->guest_physical,
        field(qualification, 2, 1) ? "fetch"
        : read && write            ? "read and write"
        : write                    ? "write"
        : read                     ? "read"
                                   : "access");
    if (field(qualification, 3, 3) == 0)
        add(line, "not mapped");
    else
        add(line, "page is %c%c%c", field(qualification, 3, 1) ? 'r' : '-',
            field(qualification, 4, 1) ? 'w' : '-', field(qualification, 5, 1) ? 'x' : '-');
    if (!field(qualification, 7, 1))
        return;
    add(line, ", linear=0x%lx", exit->guest_linear);
    if (!field(qualification, 8, 1))
        add(line, " (in its page walk)");
}

static void describe_guest_physical(struct line *line, const struct vm_exit *exit,
                                    const uint64_t *gpr)
{
    (void)gpr;
    add(line, "gpa=0x%lx", exit->guest_physical);
}

/* Table 27-6. */
static void describe_apic_access(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    static const char *const types[16] = {
        [0] = "linear read",        [1] = "linear write",
        [2] = "linear fetch",       [3] = "linear, during event delivery",
        [10] = "physical, during event delivery", [15] = "physical",
    };
    const char *type = types[field(exit->qualification, 12, 4)];

    (void)gpr;
    if (type)
        add(line, "offset=0x%x %s", field(exit->qualification, 0, 12), type);
    else
        add(line, "type=%u", field(exit->qualification, 12, 4));
}

static void describe_apic_write(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)gpr;
    add(line, "offset=0x%x", field(exit->qualification, 0, 12));
}

static void describe_eoi(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)gpr;
    add(line, "vector=0x%x", field(exit->qualification, 0, 8));
}

static void describe_notify(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)gpr;
    if (field(exit->qualification, 0, 1))
        add(line, "VM context invalid");
}

/* ---- Failed entries: SDM 26.8 ---------------------------------------------------------------- */

static void describe_entry_guest(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    static const char *const causes[] = {
        [2] = "PDPTE loading",
        [3] = "injection of an NMI while blocked by STI",
        [4] = "VMCS link pointer",
    };

    (void)gpr;
    if (exit->qualification < ARRAY_SIZE(causes) && causes[exit->qualification])
        add(line, "%s", causes[exit->qualification]);
}

static void describe_entry_msr(struct line *line, const struct vm_exit *exit, const uint64_t *gpr)
{
    (void)gpr;
    add(line, "entry %lu of the VM-entry MSR-load area", exit->qualification);
}

typedef void describe_fn(struct line *line, const struct vm_exit *exit, const uint64_t *gpr);

/* Reasons that are missing here have nothing to add. */
static describe_fn *const describers[EXIT_REASONS] = {
    [EXIT_EXCEPTION_OR_NMI]       = describe_exception,
    [EXIT_EXTERNAL_INTERRUPT]     = describe_interrupt,
    [EXIT_SIPI]                   = describe_sipi,
    [EXIT_TASK_SWITCH]            = describe_task_switch,
    [EXIT_CPUID]                  = describe_cpuid,
    [EXIT_GETSEC]                 = describe_leaf,
    [EXIT_INVLPG]                 = describe_invlpg,
    [EXIT_RDPMC]                  = describe_rdpmc,
    [EXIT_VMCALL]                 = describe_vmcall,
    [EXIT_VMREAD]                 = describe_vmcs_field,
    [EXIT_VMWRITE]                = describe_vmcs_field,
    [EXIT_CR_ACCESS]              = describe_cr_access,
    [EXIT_DR_ACCESS]              = describe_dr_access,
    [EXIT_IO]                     = describe_io,
    [EXIT_RDMSR]                  = describe_rdmsr,
    [EXIT_WRMSR]                  = describe_wrmsr,
    [EXIT_ENTRY_FAIL_GUEST_STATE] = describe_entry_guest,
    [EXIT_ENTRY_FAIL_MSR_LOADING] = describe_entry_msr,
    [EXIT_MWAIT]                  = describe_mwait,
    [EXIT_APIC_ACCESS]            = describe_apic_access,
    [EXIT_VIRTUALIZED_EOI]        = describe_eoi,
    [EXIT_GDTR_IDTR_ACCESS]       = describe_gdtr_idtr,
    [EXIT_LDTR_TR_ACCESS]         = describe_ldtr_tr,
    [EXIT_EPT_VIOLATION]          = describe_ept_violation,
    [EXIT_EPT_MISCONFIGURATION]   = describe_guest_physical,
    [EXIT_INVEPT]                 = describe_invalidate,
    [EXIT_INVVPID]                = describe_invalidate,
    [EXIT_XSETBV]                 = describe_xsetbv,
    [EXIT_APIC_WRITE]             = describe_apic_write,
    [EXIT_RDRAND]                 = describe_random,
    [EXIT_INVPCID]                = describe_invalidate,
    [EXIT_VMFUNC]                 = describe_leaf,
    [EXIT_ENCLS]                  = describe_leaf,
    [EXIT_RDSEED]                 = describe_random,
    [EXIT_XSAVES]                 = describe_xsaves,
    [EXIT_XRSTORS]                = describe_xsaves,
    [EXIT_PCONFIG]                = describe_leaf,
    [EXIT_UMWAIT]                 = describe_wait,
    [EXIT_TPAUSE]                 = describe_wait,
    [EXIT_ENCLV]                  = describe_leaf,
    [EXIT_NOTIFY]                 = describe_notify,
    [EXIT_RDMSR_IMMEDIATE]        = describe_msr_immediate,
    [EXIT_WRMSRNS_IMMEDIATE]      = describe_msr_immediate,
};

int vmx_exit_describe(char *text, size_t size, const struct vm_exit *exit,
                      const uint64_t gpr[VMX_REGISTERS])
{
    struct line line = {.text = text, .size = size};

    if (size > 0)
        *text = '\0';
    if (exit->reason < EXIT_REASONS && describers[exit->reason])
        describers[exit->reason](&line, exit, gpr);
    if (exit->idt_vectoring_info & INFO_VALID) {
        add(&line, "%swhile delivering ", line.length ? ", " : "");
        add_event(&line, exit->idt_vectoring_info, exit->idt_vectoring_error);
    }
    return line.length;
}
