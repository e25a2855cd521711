/* SPDX-License-Identifier: MIT */
/* What the operator sees of the machine and of Atoll itself, and does with them. */
#include <stdatomic.h>
#include <string.h>

#include "kernel/boot_info.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/format.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/memory.h"
#include "kernel/monitor/monitor.h"
#include "kernel/monitor/vm_view.h"
#include "kernel/vm/sched_core.h"

/* ---- version --------------------------------------------------------------------------------- */

#ifdef ATOLL_STATISTICS
#define STATISTICS "on"
#else
#define STATISTICS "compiled out"
#endif

static enum command_result version_step(struct invocation *call)
{
    output_text(&call->out, "Atoll " ATOLL_VERSION "\n");
    output_text(&call->out, "compiler    " __VERSION__ "\n");
    output_text(&call->out, "statistics  " STATISTICS "\n");
    output_text(&call->out, "started by  %s\n", memory_boot_info()->boot_loader);
    return COMMAND_DONE;
}

const struct command command_version = {
    .name = "version",
    .usage = "",
    .help = "which Atoll this is, and how it was built",
    .step = version_step,
};

/* ---- poweroff, reboot ------------------------------------------------------------------------ */

static enum command_result poweroff_step(struct invocation *call)
{
    (void)call;
    monitor_end(ONIDLE_POWEROFF);
    return COMMAND_DONE;
}

const struct command command_poweroff = {
    .name = "poweroff",
    .usage = "",
    .help = "ends all guests and switches the machine off",
    .step = poweroff_step,
};

static enum command_result reboot_step(struct invocation *call)
{
    (void)call;
    monitor_end(ONIDLE_REBOOT);
    return COMMAND_DONE;
}

const struct command command_reboot = {
    .name = "reboot",
    .usage = "",
    .help = "ends all guests and resets the machine",
    .step = reboot_step,
};

/* ---- cpus ------------------------------------------------------------------------------------ */

#define VCPUS_A_STEP 512 /* that are compared with the one that runs */

static const struct column cpu_columns[] = {
    {"CORE", "core", 4},   {"APIC ID", "apic_id", 7}, {"STATE", "state", -9},
    {"VCPUS", "vcpus", 5}, {"WAITING", "waiting", 7}, {"RUNS", "runs", 0}};

static bool takes_part(uint32_t index)
{
    for (uint32_t i = 0; i < sched_member_count; i++)
        if (sched_members[i] == index)
            return true;
    return false;
}

static const char *cpu_state_name(uint32_t index)
{
    switch (atomic_load_explicit(&cpus[index]->state, memory_order_acquire)) {
    case CPU_ONLINE:
        return takes_part(index) ? "on" : "no VMX";
    case CPU_LEFT_OUT:
        return "left out";
    default:
        return "starting";
    }
}

/* Which vCPU has this address, if its VM still has it? It may have been freed since it was seen
 * running; it is compared, never followed. */
static int index_of(struct vm *vm, const struct vcpu *vcpu)
{
    int found = -1;
    if (!spin_trylock(&vm->lock))
        return found;
    for (uint32_t i = 0; vm->state == VM_ALIVE && i < vm->config.vcpus; i++)
        if (vm->vcpus[i] == vcpu)
            found = (int)i;
    spin_unlock(&vm->lock);
    return found;
}

static void cpu_row(struct output *out, uint32_t index, const struct vm *vm, int vcpu)
{
    const struct core *core = &sched_cores[index];
    char name[VM_NAME_MAX + 4];
    row_begin(out, cpu_columns, ARRAY_SIZE(cpu_columns));
    row_number(out, index);
    row_number(out, cpus[index]->apic_id);
    row_text(out, cpu_state_name(index));
    row_number(out, atomic_load_explicit(&core->adopted, memory_order_relaxed));
    row_number(out, atomic_load_explicit(&core->waiting, memory_order_relaxed));
    if (vm) {
        snprintf(name, sizeof name, "%s.%d", vm->config.name, vcpu);
        row_text(out, name);
    } else {
        row_none(out);
    }
    row_end(out);
}

/* The search for who runs there: state[0]: core, [1]: the vCPU that was seen, [2]: the VM to look
 * at next. True: the row is written. */
static bool cpu_step(struct invocation *call)
{
    uint32_t index = (uint32_t)call->state[0];
    struct vm *vm = (struct vm *)(uintptr_t)call->state[2];
    if (!vm) {
        /* relaxed: nothing behind it is read */
        call->state[1] =
            (uintptr_t)__atomic_load_n(&sched_cores[index].current, __ATOMIC_RELAXED);
        vm = STAILQ_FIRST(&vms);
    }
    const struct vcpu *seen = (const struct vcpu *)(uintptr_t)call->state[1];
    int vcpu = -1;
    for (uint32_t compared = 0; vm && seen && vcpu < 0; compared += vm->config.vcpus) {
        if (compared >= VCPUS_A_STEP) {
            call->state[2] = (uintptr_t)vm;
            return false;
        }
        vcpu = index_of(vm, seen);
        if (vcpu < 0 && !(vm = STAILQ_NEXT(vm, link)))
            break;
    }
    call->state[2] = 0;
    cpu_row(&call->out, index, vcpu < 0 ? NULL : vm, vcpu);
    return true;
}

#define FEATURES_WIDTH 79

static const struct column feature_columns[] = {{"VMX", "vmx", 0}};

/* The end of the longest piece of `text` that ends in a comma and fits into a line, or its end. */
static size_t line_length(const char *text)
{
    size_t length = strlen(text), end = length;
    for (size_t i = 0; length > FEATURES_WIDTH && i < FEATURES_WIDTH; i++)
        if (text[i] == ',')
            end = i + 1;
    return end;
}

/* What all cores offer of VMX: one string in JSON, else as many lines as it takes. */
static void show_features(struct output *out)
{
    char text[VMX_ERROR_MAX];
    vmx_features_describe(vmx_features_of_all(), text, sizeof text);
    output_header(out, feature_columns, ARRAY_SIZE(feature_columns));
    if (out->json) {
        row_begin(out, feature_columns, ARRAY_SIZE(feature_columns));
        row_text(out, text);
        row_end(out);
        return;
    }
    for (const char *rest = text; *rest;) {
        size_t length = line_length(rest);
        output_text(out, "%.*s\n", (int)length, rest);
        rest += length;
        rest += *rest == ' ';
    }
}

static enum command_result cpus_step(struct invocation *call)
{
    if (call->cancelled)
        return COMMAND_DONE;
    if (call->at++ == 0)
        output_header(&call->out, cpu_columns, ARRAY_SIZE(cpu_columns));
    for (unsigned rows = 0; rows < COMMAND_ROWS; rows++) {
        if (call->state[0] >= cpus_count) {
            show_features(&call->out);
            return COMMAND_DONE;
        }
        if (!cpu_step(call))
            return COMMAND_MORE;
        call->state[0]++;
    }
    return COMMAND_MORE;
}

const struct command command_cpus = {
    .name = "cpus",
    .usage = "",
    .help = "the cores: what runs there, how many wait",
    .more = "VCPUS are those that the core has, WAITING those that would run if it were\n"
            "free. Behind them, what all cores offer of VMX.\n",
    .step = cpus_step,
    .lists = true,
};

/* ---- memory ---------------------------------------------------------------------------------- */

static const struct column map_columns[] = {
    {"START", "start", 14}, {"END", "end", 14}, {"SIZE", "size", 8}, {"FIRMWARE", "firmware", 0}};
static const struct column use_columns[] = {
    {"START", "start", 14}, {"END", "end", 14}, {"SIZE", "size", 8}, {"HOLDS", "holds", 0}};
static const struct column total_columns[] = {
    {"FRAMES", "frames", 10},     {"FREE", "free", 10}, {"RESERVED", "reserved", 10},
    {"AVAILABLE", "available", 10}};
static const struct column order_columns[] = {
    {"ORDER", "order", 6}, {"BLOCK", "block", 10}, {"FREE BLOCKS", "free_blocks", 11}};
static const struct column vm_columns[] = {
    {"VM", "vm", -16},             {"STATE", "state", -10},       {"SIZE", "size", 8},
    {"RESIDENT", "resident", 8},   {"RESERVED", "reserved", 8},   {"EPT", "ept", 8},
    {"ATOLL'S", "overhead", 8}};

static void range_row(struct output *out, const struct column *columns,
                      const struct boot_range *range, const char *what)
{
    row_begin(out, columns, ARRAY_SIZE(map_columns));
    row_hex(out, range->start);
    row_hex(out, range->end);
    row_size(out, range->end - range->start);
    row_text(out, what);
    row_end(out);
}

/* ACPI 6.4, 15.4. */
static void firmware_row(struct output *out, const struct boot_memory *memory)
{
    static const char *const names[] = {[BOOT_MEMORY_AVAILABLE] = "available",
                                        [BOOT_MEMORY_RESERVED] = "reserved",
                                        [BOOT_MEMORY_ACPI_RECLAIMABLE] = "ACPI reclaimable",
                                        [BOOT_MEMORY_ACPI_NVS] = "ACPI NVS",
                                        [BOOT_MEMORY_BAD] = "bad"};
    char other[24];
    snprintf(other, sizeof other, "type %u", memory->type);
    bool known = memory->type < ARRAY_SIZE(names) && names[memory->type];
    range_row(out, map_columns, &memory->range, known ? names[memory->type] : other);
}

/* A module by the first word of its line, which is the VM's name. */
static void module_text(size_t number, char *text, size_t size)
{
    const char *line = memory_boot_info()->modules[number].string;
    int length = 0;
    while (line[length] && line[length] != ' ' && length < VM_NAME_MAX)
        length++;
    snprintf(text, size, "module %.*s", length, line);
}

static void use_row(struct output *out, size_t number, enum memory_use use,
                    const struct boot_range *range)
{
    static const char *const names[] = {[MEMORY_IMAGE] = "Atoll",
                                        [MEMORY_TRAMPOLINE] = "trampoline of the other cores",
                                        [MEMORY_METADATA] = "state of the frames"};
    char module[VM_NAME_MAX + 8];
    if (use == MEMORY_MODULE)
        module_text(number - 1, module, sizeof module);
    range_row(out, use_columns, range, use == MEMORY_MODULE ? module : names[use]);
}

static void total_row(struct output *out)
{
    uint64_t free = frames_free_count(), available = frames_available_count();
    output_header(out, total_columns, ARRAY_SIZE(total_columns));
    row_begin(out, total_columns, ARRAY_SIZE(total_columns));
    row_size(out, frames_total_count() * PAGE_SIZE);
    row_size(out, free * PAGE_SIZE);
    row_size(out, (free - MIN(free, available)) * PAGE_SIZE);
    row_size(out, available * PAGE_SIZE);
    row_end(out);
}

static void order_row(struct output *out, unsigned order)
{
    uint64_t blocks = frames_free_blocks(order);
    if (blocks == 0)
        return;
    row_begin(out, order_columns, ARRAY_SIZE(order_columns));
    row_number(out, order);
    row_size(out, PAGE_SIZE << order);
    row_number(out, blocks);
    row_end(out);
}

static void vm_row(struct output *out, struct vm *vm, const struct vm_view *view)
{
    const uint64_t figures[] = {view->resident, view->reserved, view->tables, view->overhead};
    row_begin(out, vm_columns, ARRAY_SIZE(vm_columns));
    row_text(out, vm->config.name);
    row_text(out, view->state);
    row_size(out, vm->config.memory);
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        if (view->alive)
            row_size(out, figures[i]);
        else
            row_none(out);
    }
    row_end(out);
}

/* Row `number` of a part; false: there is none. */
static bool map_part(struct output *out, size_t number)
{
    const struct boot_info *info = memory_boot_info();
    if (number >= info->memory_count)
        return false;
    if (number == 0)
        output_header(out, map_columns, ARRAY_SIZE(map_columns));
    firmware_row(out, &info->memory[number]);
    return true;
}

static bool use_part(struct output *out, size_t number)
{
    enum memory_use use;
    struct boot_range range;
    if (!memory_reserved(number, &use, &range))
        return false;
    if (number == 0)
        output_header(out, use_columns, ARRAY_SIZE(use_columns));
    use_row(out, number, use, &range);
    return true;
}

static bool frames_part(struct output *out, size_t number)
{
    if (number > FRAME_MAX_ORDER)
        return false;
    if (number == 0) {
        total_row(out);
        output_header(out, order_columns, ARRAY_SIZE(order_columns));
    }
    order_row(out, (unsigned)number);
    return true;
}

/* at: the part; state[0]: its next row. */
static enum command_result memory_step(struct invocation *call)
{
    static bool (*const parts[])(struct output *, size_t) = {map_part, use_part, frames_part};
    if (call->cancelled)
        return COMMAND_DONE;
    if (call->at >= ARRAY_SIZE(parts)) {
        if (call->at++ == ARRAY_SIZE(parts))
            output_header(&call->out, vm_columns, ARRAY_SIZE(vm_columns));
        return command_each_vm(call, vm_row);
    }
    for (unsigned rows = 0; rows < COMMAND_ROWS; rows++) {
        if (!parts[call->at](&call->out, call->state[0])) {
            call->at++;
            call->state[0] = 0;
            return COMMAND_MORE;
        }
        call->state[0]++;
    }
    return COMMAND_MORE;
}

const struct command command_memory = {
    .name = "memory",
    .usage = "",
    .help = "the machine's memory, its frames, what VMs use",
    .more = "First the firmware's map; then what never becomes frames; then the frames: all,\n"
            "free, of these reserved for VMs that have not touched theirs yet, and what is\n"
            "left for new VMs. Then each VM: its RAM, what it touched of it, what is reserved\n"
            "for it, its EPT tables, and all that Atoll has for it, these included.\n",
    .step = memory_step,
    .lists = true,
};
