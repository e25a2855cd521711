/* SPDX-License-Identifier: MIT */
/* The state of a guest, laid open: registers, VMCS, EPT, memory. Registers and VMCS are a snapshot
 * that the core of the vCPU takes (kernel/vm/inspect.h); EPT and memory are read while the guest
 * goes on. Nothing here changes what it looks at. */
#include <stdarg.h>
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/monitor/command.h"
#include "kernel/vm/inspect.h"

#define COLUMNS 80 /* of the terminal */

/* A line that is put together piece by piece. */
struct line {
    char text[2 * COLUMNS];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
                                                           ...)
{
    size_t left = sizeof line->text - line->length;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line->text + line->length, left, format, args);
    va_end(args);
    line->length += MIN((size_t)MAX(length, 0), left - 1);
}

static void line_end(struct line *line, struct output *out)
{
    output_text(out, "%s\n", line->text);
    *line = (struct line){0};
}

/* ---- A snapshot of a vCPU: what `regs` and `vmcs` begin with --------------------------------- */

/* call->at while it is asked for; behind that it is the command's own. */
enum { AT_START, AT_ASKED, AT_HEADER, AT_ROWS };

#define HELD(call) ((call)->state[0]) /* the VM that is held, until the answer is there */

static void let_go(struct invocation *call)
{
    if (HELD(call))
        vm_put((struct vm *)(uintptr_t)HELD(call));
    HELD(call) = 0;
}

static enum command_result finish(struct invocation *call)
{
    inspect_cancel();
    let_go(call);
    return COMMAND_DONE;
}

static enum command_result ask(struct invocation *call)
{
    struct vcpu *vcpu = command_vcpu(call, call->argv[1]);
    if (!vcpu)
        return COMMAND_DONE;
    HELD(call) = (uintptr_t)vcpu->vm;
    if (inspect_start(vcpu)) {
        let_go(call);
        return command_fail(call, "another command looks at a vCPU just now; try again");
    }
    call->at = AT_ASKED;
    return COMMAND_WAIT;
}

/* Until the answer is there. The VM is let go then: its end does not wait for the terminal. */
static enum command_result await(struct invocation *call)
{
    if (!inspect_done())
        return COMMAND_WAIT;
    let_go(call);
    call->at = AT_HEADER;
    if (inspect_result())
        return COMMAND_MORE;
    inspect_cancel();
    return command_fail(call, "%s has ended; list shows how", call->argv[1]);
}

/* The steps until there is a snapshot. False: there is one, and the command goes on. */
static bool snapshot_step(struct invocation *call, enum command_result *result)
{
    if (call->at == AT_START && !call->cancelled)
        *result = ask(call);
    else if (call->at == AT_START)
        *result = COMMAND_DONE;
    else if (call->cancelled)
        *result = finish(call);
    else if (call->at == AT_ASKED)
        *result = await(call);
    else
        return false;
    return true;
}

static const char *what_it_does(const struct inspection *inspection)
{
    if (inspection->state == VCPU_CREATED)
        return "not started";
    if (inspection->state == VCPU_RUNNING && inspection->wait != WAIT_NOTHING)
        return "going to sleep";
    return vcpu_state_name(inspection->state);
}

static void put_heading(struct output *out, const struct inspection *inspection)
{
    char event[64];
    uint64_t next = inspection->vmx.event;
    output_text(out, "%s: %s, on cpu%u\n", inspection->name, what_it_does(inspection),
                inspection->cpu);
    if (!inspection->vmx.complete)
        output_text(out, "It has not been on a core yet: its registers are not filled.\n");
    if (vmx_event_describe(event, sizeof event, (uint32_t)next, (uint32_t)(next >> 32)) > 0)
        output_text(out, "The next entry injects %s.\n", event);
}

/* ---- regs ------------------------------------------------------------------------------------ */

#define REGS_LINES  6 /* of one step */
#define SLOTS       3 /* registers of one line */
#define SLOT_WIDTH  26
#define VALUE_WIDTH 16 /* 64 bits in hexadecimal */

static const struct column regs_columns[] = {{"VCPU", "vcpu", -8},   {"REGISTER", "register", -8},
                                             {"VALUE", "value", 18}, {"BASE", "base", 18},
                                             {"LIMIT", "limit", 10}, {"ACCESS", "access", 8},
                                             {"FLAGS", "flags", 0}};

static void register_row(struct output *out, const struct inspection *inspection,
                         const struct vmx_value *value)
{
    row_begin(out, regs_columns, ARRAY_SIZE(regs_columns));
    row_text(out, inspection->name);
    row_text(out, value->name);
    row_hex(out, value->value);
    for (unsigned i = 0; i < 3; i++)
        row_none(out);
    row_text(out, value->text);
    row_end(out);
}

static void segment_row(struct output *out, const struct inspection *inspection,
                        const struct vmx_segment *segment)
{
    row_begin(out, regs_columns, ARRAY_SIZE(regs_columns));
    row_text(out, inspection->name);
    row_text(out, segment->name);
    if (segment->table)
        row_none(out);
    else
        row_hex(out, segment->selector);
    row_hex(out, segment->base);
    row_hex(out, segment->limit);
    if (segment->table)
        row_none(out);
    else
        row_hex(out, segment->access);
    row_text(out, segment->text);
    row_end(out);
}

/* One register into its slots of a line: a short name takes one, a long one two, one with flags
 * all. */
static size_t slots_of(const struct vmx_value *value)
{
    if (value->text[0])
        return SLOTS;
    return strlen(value->name) < SLOT_WIDTH - VALUE_WIDTH - 2 ? 1 : 2;
}

/* Registers from `*next` on, as many as a line has room for. False: there are none. */
static bool put_registers(struct output *out, const struct vmx_snapshot *s, unsigned *next)
{
    struct vmx_value value;
    struct line line = {0};
    size_t used = 0;
    for (; vmx_snapshot_register(s, *next, &value); ++*next) {
        if (used + slots_of(&value) > SLOTS)
            break;
        while (line.length < used * SLOT_WIDTH)
            line_add(&line, " ");
        line_add(&line, "%-6s %016llx", value.name, (unsigned long long)value.value);
        if (value.text[0])
            line_add(&line, "  %s", value.text);
        used += slots_of(&value);
    }
    if (used > 0)
        line_end(&line, out);
    return used > 0;
}

static void put_segment(struct output *out, const struct vmx_segment *segment)
{
    struct line line = {0};
    line_add(&line, "%-4s ", segment->name);
    if (segment->table)
        line_add(&line, "     %016llx %08x", (unsigned long long)segment->base, segment->limit);
    else
        line_add(&line, "%04x %016llx %08x %5x %s", segment->selector,
                 (unsigned long long)segment->base, segment->limit, segment->access, segment->text);
    line_end(&line, out);
}

/* call->state[1]: the next register; state[2]: the next segment register. */
static bool put_regs_line(struct invocation *call, const struct inspection *inspection)
{
    const struct vmx_snapshot *s = &inspection->vmx;
    struct vmx_value value;
    struct vmx_segment segment;
    unsigned next = (unsigned)call->state[1];
    if (call->json && vmx_snapshot_register(s, next, &value)) {
        register_row(&call->out, inspection, &value);
        call->state[1]++;
        return true;
    }
    if (!call->json && put_registers(&call->out, s, &next)) {
        call->state[1] = next;
        return true;
    }
    if (!vmx_snapshot_segment(s, (unsigned)call->state[2], &segment))
        return false;
    if (call->json)
        segment_row(&call->out, inspection, &segment);
    else if (call->state[2] == 0)
        output_text(&call->out, "%-4s %-4s %-16s %-8s %s\n", "", "SEL", "BASE", "LIMIT", "ACCESS");
    if (!call->json)
        put_segment(&call->out, &segment);
    call->state[2]++;
    return true;
}

static enum command_result regs_step(struct invocation *call)
{
    enum command_result result;
    if (snapshot_step(call, &result))
        return result;
    const struct inspection *inspection = inspect_result();
    if (call->at == AT_HEADER && !call->json)
        put_heading(&call->out, inspection);
    if (!call->json && !inspection->vmx.complete)
        return finish(call);
    call->at = AT_ROWS;
    for (unsigned i = 0; i < REGS_LINES; i++)
        if (!put_regs_line(call, inspection))
            return finish(call);
    return COMMAND_MORE;
}

const struct command command_regs = {
    .name = "regs",
    .usage = "VM.N",
    .help = "the registers of a vCPU, flags decoded",
    .more = "Control registers are as the guest sees them. It may run: its core takes a\n"
            "snapshot between two exits.\n"
            "    regs linux.0\n    regs linux -j\n",
    .step = regs_step,
    .arguments = {ARGUMENT_VCPU},
    .least = 1,
    .most = 1,
    .lists = true,
};

/* ---- vmcs ------------------------------------------------------------------------------------ */

#define VMCS_LINES    2 /* fields of one step: some have many flags */
#define AUDIT_LINES   6
#define NAME_WIDTH    47 /* of the longest field */
#define FIELDS_INDENT 5

static const struct column vmcs_columns[] = {{"VCPU", "vcpu", -8},
                                             {"ENCODING", "encoding", 8},
                                             {"FIELD", "field", -NAME_WIDTH},
                                             {"VALUE", "value", 18},
                                             {"FLAGS", "flags", 0}};
static const struct column audit_columns[] = {
    {"VCPU", "vcpu", -8}, {"SDM", "section", -9}, {"RULE", "rule", 0}};

static void field_row(struct output *out, const struct inspection *inspection,
                      const struct vmx_value *value)
{
    row_begin(out, vmcs_columns, ARRAY_SIZE(vmcs_columns));
    row_text(out, inspection->name);
    row_hex(out, value->encoding);
    row_text(out, value->name);
    if (value->present)
        row_hex(out, value->value);
    else
        row_none(out);
    row_text(out, value->text);
    row_end(out);
}

static void next_line(struct output *out, struct line *line)
{
    line_end(line, out);
    line_add(line, "%*s", FIELDS_INDENT - 1, "");
}

/* Behind the value if there is room for all of it, else in lines of their own. */
static void put_flags(struct output *out, struct line *line, const char *text)
{
    if (*text && line->length + 1 + strlen(text) > COLUMNS)
        next_line(out, line);
    while (*text) {
        size_t word = 0;
        while (text[word] && text[word] != ' ')
            word++;
        if (line->length + 1 + word > COLUMNS)
            next_line(out, line);
        line_add(line, " %.*s", (int)word, text);
        text += word;
        while (*text == ' ')
            text++;
    }
}

static void put_field(struct output *out, const struct vmx_value *value)
{
    struct line line = {0};
    char number[sizeof "0x" + VALUE_WIDTH];
    snprintf(number, sizeof number, "0x%llx", (unsigned long long)value->value);
    line_add(&line, "%04x %-*s %18s", value->encoding, NAME_WIDTH, value->name, number);
    put_flags(out, &line, value->text);
    line_end(&line, out);
}

/* Those that the processor does not have are not shown, but in JSON. call->state[1]: the next
 * field; state[2]: how many it does not have. */
static bool put_next_field(struct invocation *call, const struct inspection *inspection)
{
    struct vmx_value value;
    if (!vmx_snapshot_field(&inspection->vmx, (unsigned)call->state[1], &value))
        return false;
    call->state[1]++;
    if (call->json)
        field_row(&call->out, inspection, &value);
    else if (value.present)
        put_field(&call->out, &value);
    else
        call->state[2]++;
    return true;
}

static enum command_result put_fields(struct invocation *call, const struct inspection *inspection)
{
    for (unsigned i = 0; i < VMCS_LINES; i++)
        if (!put_next_field(call, inspection)) {
            if (!call->json)
                output_text(&call->out, "%llu fields do not exist on this processor.\n",
                            (unsigned long long)call->state[2]);
            return finish(call);
        }
    return COMMAND_MORE;
}

/* Which broken rules are to be shown: the auditor tells all of them, each time. */
struct findings {
    struct output *out;
    const char *name;
    uint64_t first, seen;
};

static void put_finding(const char *section, const char *message, void *context)
{
    struct findings *findings = context;
    uint64_t number = findings->seen++;
    if (number < findings->first || number >= findings->first + AUDIT_LINES)
        return;
    if (findings->out->json) {
        row_begin(findings->out, audit_columns, ARRAY_SIZE(audit_columns));
        row_text(findings->out, findings->name);
        row_text(findings->out, section);
        row_text(findings->out, message);
        row_end(findings->out);
    } else {
        output_text(findings->out, "SDM %s: %s\n", section, message);
    }
}

static enum command_result put_audit(struct invocation *call, const struct inspection *inspection)
{
    struct findings findings = {&call->out, inspection->name, call->state[1], 0};
    unsigned broken = vmx_snapshot_audit(&inspection->vmx, put_finding, &findings);
    call->state[1] += AUDIT_LINES;
    if (call->state[1] < broken)
        return COMMAND_MORE;
    if (!call->json)
        output_text(&call->out, "%u rule%s of SDM 26.2 and 26.3 broken\n", broken,
                    broken == 1 ? "" : "s");
    return finish(call);
}

static enum command_result vmcs_step(struct invocation *call)
{
    enum command_result result;
    bool audit = call->argc > 2;
    if (call->at == AT_START && audit && strcmp(call->argv[2], "audit") != 0)
        return command_fail(call, "\"%s\": expected audit, or nothing", call->argv[2]);
    if (snapshot_step(call, &result))
        return result;
    const struct inspection *inspection = inspect_result();
    if (audit && !inspection->vmx.complete) {
        finish(call);
        return command_fail(call, "%s has not been on a core yet: there is nothing to audit",
                            call->argv[1]);
    }
    if (call->at == AT_HEADER && !call->json)
        put_heading(&call->out, inspection);
    call->at = AT_ROWS;
    return audit ? put_audit(call, inspection) : put_fields(call, inspection);
}

static const char *const vmcs_choices[] = {"audit", NULL};

const struct command command_vmcs = {
    .name = "vmcs",
    .usage = "VM.N [audit]",
    .help = "a vCPU's VMCS: every field, or the auditor's word",
    .more = "audit checks the rules of VM entry (SDM 26.2, 26.3): a VMCS that is in order\n"
            "breaks none. It is read between two exits, before what the next entry injects is\n"
            "written.\n"
            "    vmcs linux.0\n    vmcs linux.0 audit\n",
    .step = vmcs_step,
    .arguments = {ARGUMENT_VCPU, ARGUMENT_WORD},
    .choices = vmcs_choices,
    .least = 1,
    .most = 2,
    .lists = true,
};

/* ---- ept ------------------------------------------------------------------------------------- */

static const struct column ept_columns[] = {{"ENTRY", "level", -5},
                                            {"TABLE", "table", 16},
                                            {"INDEX", "index", 5},
                                            {"VALUE", "value", 18},
                                            {"MEANING", "meaning", 0}};
static const struct column ept_json_columns[] = {
    {"", "level", 0},  {"", "table", 0},       {"", "index", 0}, {"", "value", 0}, {"", "kind", 0},
    {"", "access", 0}, {"", "memory_type", 0}, {"", "size", 0},  {"", "host", 0}};

/* The VM of a word, held; NULL behind command_fail. */
static struct vm *hold_vm(struct invocation *call, const char *word)
{
    struct vm *vm = command_vm(call, word);
    if (!vm || vm_hold(vm))
        return vm;
    command_fail(call, "%s: expected a VM that lives; list shows their states", vm->config.name);
    return NULL;
}

static bool read_address(struct invocation *call, const char *word, gpa_t *guest)
{
    if (words_number(word, &guest->value) == 0)
        return true;
    command_fail(call, "\"%s\": expected a guest-physical address, as 0x100000 or 1M", word);
    return false;
}

static const char *memory_type_name(unsigned type)
{
    static const char *const names[] = {[0] = "UC", [1] = "WC", [4] = "WT", [5] = "WP", [6] = "WB"};
    return type < ARRAY_SIZE(names) && names[type] ? names[type] : "reserved";
}

static void access_name(uint8_t access, char text[4])
{
    snprintf(text, 4, "%c%c%c", access & EPT_READ ? 'r' : '-', access & EPT_WRITE ? 'w' : '-',
             access & EPT_EXECUTE ? 'x' : '-');
}

static const char *size_name(uint64_t size)
{
    return size == PAGE_SIZE ? "4 KiB" : size == PAGE_SIZE_2M ? "2 MiB" : "1 GiB";
}

static const char *kind_name(enum ept_step_kind kind)
{
    static const char *const names[] = {
        [EPT_STEP_TABLE] = "table",
        [EPT_STEP_LEAF] = "page",
        [EPT_STEP_ABSENT] = "absent",
        [EPT_STEP_MISCONFIGURED] = "misconfigured",
    };
    return names[kind];
}

static void meaning_of(const struct ept_step *step, char *text, size_t size)
{
    char access[4];
    access_name(step->access, access);
    switch (step->kind) {
    case EPT_STEP_TABLE:
        snprintf(text, size, "%s, the next table", access);
        return;
    case EPT_STEP_LEAF:
        snprintf(text, size, "%s %s, a page of %s", access, memory_type_name(step->memory_type),
                 size_name(step->size));
        return;
    case EPT_STEP_ABSENT:
        snprintf(text, size, "not present");
        return;
    case EPT_STEP_MISCONFIGURED:
        snprintf(text, size, "%s, misconfigured", access);
        return;
    }
}

static void ept_row(struct output *out, const struct ept_step *step)
{
    char meaning[40];
    meaning_of(step, meaning, sizeof meaning);
    row_begin(out, ept_columns, ARRAY_SIZE(ept_columns));
    row_text(out, step->name);
    row_hex(out, step->table.value);
    row_number(out, step->index);
    row_hex(out, step->entry);
    row_text(out, meaning);
    row_end(out);
}

static void ept_json_row(struct output *out, const struct ept_step *step)
{
    bool leaf = step->kind == EPT_STEP_LEAF;
    char access[4];
    access_name(step->access, access);
    row_begin(out, ept_json_columns, ARRAY_SIZE(ept_json_columns));
    row_text(out, step->name);
    row_hex(out, step->table.value);
    row_number(out, step->index);
    row_hex(out, step->entry);
    row_text(out, kind_name(step->kind));
    row_text(out, access);
    if (leaf)
        row_text(out, memory_type_name(step->memory_type));
    else
        row_none(out);
    row_size(out, step->size);
    if (leaf || step->kind == EPT_STEP_TABLE)
        row_hex(out, step->address.value);
    else
        row_none(out);
    row_end(out);
}

/* What the walk comes to, in one line. */
static void put_ept_end(struct output *out, const struct vm *vm, gpa_t guest,
                        const struct ept_step *last)
{
    bool ram = guest_range_ok(&vm->memory, guest, 1);
    unsigned long long at = guest.value;
    if (last->kind == EPT_STEP_LEAF)
        output_text(out, "0x%llx is at 0x%llx of the host%s.\n", at,
                    (unsigned long long)last->address.value, ram ? "" : "; not RAM");
    else if (last->kind == EPT_STEP_MISCONFIGURED)
        output_text(out, "0x%llx: an access is an EPT misconfiguration.\n", at);
    else if (ram)
        output_text(out, "0x%llx is RAM that was not touched yet.\n", at);
    else
        output_text(out, "0x%llx is not RAM: an access is an EPT violation.\n", at);
}

static enum command_result ept_step(struct invocation *call)
{
    struct ept_step steps[EPT_STEPS_MAX];
    gpa_t guest;
    if (call->cancelled || !read_address(call, call->argv[2], &guest))
        return COMMAND_DONE;
    struct vm *vm = hold_vm(call, call->argv[1]);
    if (!vm)
        return COMMAND_DONE;
    /* No lock: entries are whole, and tables go only with the VM. */
    unsigned count = ept_walk_steps(&vm->memory.ept, guest, steps);
    if (count > 0)
        output_header(&call->out, ept_columns, ARRAY_SIZE(ept_columns));
    for (unsigned i = 0; i < count; i++)
        (call->json ? ept_json_row : ept_row)(&call->out, &steps[i]);
    if (count > 0 && !call->json)
        put_ept_end(&call->out, vm, guest, &steps[count - 1]);
    vm_put(vm);
    if (count == 0)
        return command_fail(call, "0x%llx: expected an address of at most 48 bits",
                            (unsigned long long)guest.value);
    return COMMAND_DONE;
}

const struct command command_ept = {
    .name = "ept",
    .usage = "VM GPA",
    .help = "the EPT walk of a guest-physical address",
    .more = "    ept linux 0x100000\n    ept linux 3G -j\n",
    .step = ept_step,
    .arguments = {ARGUMENT_VM, ARGUMENT_NUMBER},
    .least = 2,
    .most = 2,
    .lists = true,
};

/* ---- peek ------------------------------------------------------------------------------------ */

#define PEEK_DEFAULT 64
#define PEEK_MAX     4096
#define PEEK_BYTES   16 /* of a line, which ends at a multiple of that */
#define PEEK_LINES   8  /* of one step */

static const struct column peek_columns[] = {
    {"", "address", 0}, {"", "size", 0}, {"", "bytes", 0}, {"", "text", 0}};

/* What a line shows: bytes of one page, or a stretch of pages that are not there. */
struct piece {
    uint64_t at, size;
    bool present;
    uint8_t bytes[PEEK_BYTES];
};

static bool is_present(const struct vm *vm, uint64_t guest)
{
    struct ept_leaf leaf;
    return ept_walk(&vm->memory.ept, GPA(guest), &leaf) == 0;
}

/* The piece at `at`, which ends at `end` at the latest. False: it is no RAM. Reading a page does
 * not bring it in; one that comes in meanwhile is read as zeroes or as what it has by then. */
static bool read_piece(const struct vm *vm, uint64_t at, uint64_t end, struct piece *piece)
{
    *piece = (struct piece){.at = at, .present = is_present(vm, at)};
    if (piece->present) {
        piece->size = MIN(PEEK_BYTES - at % PEEK_BYTES, end - at);
        return guest_read(&vm->memory, GPA(at), piece->bytes, piece->size) == 0;
    }
    while (at + piece->size < end && !is_present(vm, at + piece->size))
        piece->size += MIN(PAGE_SIZE - ((at + piece->size) & PAGE_MASK), end - at - piece->size);
    return true;
}

static void text_of(const struct piece *piece, char text[PEEK_BYTES + 1])
{
    for (unsigned i = 0; i < piece->size; i++)
        text[i] = piece->bytes[i] >= ' ' && piece->bytes[i] <= '~' ? (char)piece->bytes[i] : '.';
    text[piece->size] = '\0';
}

static void put_piece(struct output *out, const struct piece *piece)
{
    struct line line = {0};
    char text[PEEK_BYTES + 1];
    if (!piece->present) {
        output_text(out, "%012llx  not touched yet, up to %012llx\n", (unsigned long long)piece->at,
                    (unsigned long long)(piece->at + piece->size - 1));
        return;
    }
    line_add(&line, "%012llx ", (unsigned long long)piece->at);
    for (unsigned i = 0; i < PEEK_BYTES; i++) {
        const char *gap = i == PEEK_BYTES / 2 ? "  " : " ";
        if (i < piece->size)
            line_add(&line, "%s%02x", gap, piece->bytes[i]);
        else
            line_add(&line, "%s  ", gap);
    }
    text_of(piece, text);
    line_add(&line, "  %s", text);
    line_end(&line, out);
}

static void peek_row(struct output *out, const struct piece *piece)
{
    char text[PEEK_BYTES + 1];
    struct line bytes = {0};
    row_begin(out, peek_columns, ARRAY_SIZE(peek_columns));
    row_hex(out, piece->at);
    row_number(out, piece->size);
    if (piece->present) {
        text_of(piece, text);
        for (unsigned i = 0; i < piece->size; i++)
            line_add(&bytes, "%02x", piece->bytes[i]);
        row_text(out, bytes.text);
        row_text(out, text);
    } else {
        row_none(out);
        row_none(out);
    }
    row_end(out);
}

static enum command_result no_ram(struct invocation *call, const struct vm *vm, gpa_t guest,
                                  uint64_t length)
{
    char high[48] = "";
    if (guest_memory_high(&vm->memory))
        snprintf(high, sizeof high, " and 0x%llx to 0x%llx", (unsigned long long)GUEST_HOLE_END,
                 (unsigned long long)(GUEST_HOLE_END + guest_memory_high(&vm->memory) - 1));
    return command_fail(call, "0x%llx, %llu bytes: expected RAM of %s, which is 0x0 to 0x%llx%s",
                        (unsigned long long)guest.value, (unsigned long long)length,
                        vm->config.name, (unsigned long long)(guest_memory_low(&vm->memory) - 1),
                        high);
}

/* call->at is how much was shown already, of `length`. */
static enum command_result peek_range(struct invocation *call, const struct vm *vm, gpa_t guest,
                                      uint64_t length)
{
    struct piece piece;
    if (!guest_range_ok(&vm->memory, guest, length))
        return no_ram(call, vm, guest, length);
    for (unsigned i = 0; i < PEEK_LINES && call->at < length; i++) {
        if (!read_piece(vm, guest.value + call->at, guest.value + length, &piece))
            return no_ram(call, vm, guest, length);
        (call->json ? peek_row : put_piece)(&call->out, &piece);
        call->at += piece.size;
    }
    return call->at < length ? COMMAND_MORE : COMMAND_DONE;
}

/* The VM is held within a step only: it may end meanwhile, and then the rest is not shown. */
static enum command_result peek_step(struct invocation *call)
{
    gpa_t guest;
    uint64_t length = PEEK_DEFAULT;
    if (call->cancelled || !read_address(call, call->argv[2], &guest))
        return COMMAND_DONE;
    if (call->argc > 3 && (words_number(call->argv[3], &length) || length < 1 || length > PEEK_MAX))
        return command_fail(call, "\"%s\": expected a length from 1 to %u bytes", call->argv[3],
                            PEEK_MAX);
    struct vm *vm = hold_vm(call, call->argv[1]);
    if (!vm)
        return COMMAND_DONE;
    enum command_result result = peek_range(call, vm, guest, length);
    vm_put(vm);
    return result;
}

const struct command command_peek = {
    .name = "peek",
    .usage = "VM GPA [LENGTH]",
    .help = "bytes of a guest's memory, 64 unless told",
    .more = "A page that the guest has not touched yet is not brought in.\n"
            "    peek linux 0x100000\n    peek linux 1M 256\n",
    .step = peek_step,
    .arguments = {ARGUMENT_VM, ARGUMENT_NUMBER, ARGUMENT_NUMBER},
    .least = 2,
    .most = 3,
    .lists = true,
};
