/* SPDX-License-Identifier: MIT */
/* What the operator sees of VMs and does with them. A verb takes effect a little later, on the
 * cores that have the vCPUs: who has to know the outcome looks again until it is there, for a
 * bounded time. */
#include <linux/errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/monitor/monitor.h"
#include "kernel/monitor/vm_view.h"
#include "kernel/vm/console.h"
#include "kernel/vm/sched_core.h"

#define LONG_MS     100 /* a start that kept others waiting so long says so */
#define PATIENCE_US 5000000ull /* until a VM that was stopped has given back what it had */

/* ---- list ------------------------------------------------------------------------------------ */

static const struct column list_columns[] = {
    {"NAME", "name", -11},   {"ID", "id", 3},           {"STATE", "state", -10},
    {"VCPUS", "vcpus", 5},   {"MEM", "memory", 5},      {"RES", "resident", 5},
    {"RUN MS", "run_ms", 7}, {"CPU", "cpu_percent", 6}, {"LIVES", "starts", 5},
    {"LAST END", "last_end", 0}};

/* Time on a core of this life against the time since it began; more than one vCPU may have more
 * than all of it. */
static void share_cell(struct output *out, const struct vm_view *view)
{
    if (view->life_ticks == 0)
        row_none(out);
    else
        row_permille(out, view->life_run_ticks / MAX(view->life_ticks / 1000, 1));
}

static void list_row(struct output *out, struct vm *vm, const struct vm_view *view)
{
    char ended[VM_ENDED_MAX];
    vm_ended_text(view, ended);
    row_begin(out, list_columns, ARRAY_SIZE(list_columns));
    row_text(out, vm->config.name);
    row_number(out, vm->id);
    row_text(out, view->state);
    row_number(out, vm->config.vcpus);
    row_size(out, vm->config.memory);
    if (view->alive)
        row_size(out, view->resident);
    else
        row_none(out);
    row_number(out, time_ticks_to_ns(view->run_ticks) / 1000000);
    share_cell(out, view);
    row_number(out, view->starts);
    if (view->ended)
        row_text(out, ended);
    else
        row_none(out);
    row_end(out);
}

static enum command_result list_step(struct invocation *call)
{
    if (call->cancelled)
        return COMMAND_DONE;
    if (call->at++ == 0)
        output_header(&call->out, list_columns, ARRAY_SIZE(list_columns));
    return command_each_vm(call, list_row);
}

const struct command command_list = {
    .name = "list",
    .usage = "",
    .help = "all VMs: state, memory, time on a core",
    .more = "MEM is its RAM and RES what it has touched of that. RUN MS is the time of all\n"
            "its lives on a core; CPU is that of this life against the time since it began,\n"
            "all vCPUs together. LIVES counts its starts; LAST END is how the life before\n"
            "ended.\n",
    .step = list_step,
    .lists = true,
};

/* ---- pause, resume, stop, start, restart ----------------------------------------------------- */

static enum command_result wrong_state(struct invocation *call, const struct vm *vm,
                                       const char *expected)
{
    return command_fail(call, "%s: it is %s; expected %s", vm->config.name, vm_state_text(vm),
                        expected);
}

static enum command_result done(struct invocation *call, const struct vm *vm, const char *what)
{
    output_text(&call->out, "%s: %s\n", vm->config.name, what);
    return COMMAND_DONE;
}

/* What a verb has come to; while another core has the VM it is tried again. */
static enum command_result verb_result(struct invocation *call, const struct vm *vm, int status,
                                       const char *expected, const char *what)
{
    if (status == -EAGAIN)
        return COMMAND_WAIT;
    return status ? wrong_state(call, vm, expected) : done(call, vm, what);
}

static enum command_result pause_step(struct invocation *call)
{
    struct vm *vm = command_vm(call, call->argv[1]);
    if (!vm || call->cancelled)
        return COMMAND_DONE;
    return verb_result(call, vm, vm_pause(vm), "a running VM", "paused");
}

const struct command command_pause = {
    .name = "pause",
    .usage = "VM",
    .help = "stops the time of a VM until resume",
    .more = "    pause a\n",
    .step = pause_step,
    .arguments = {ARGUMENT_VM},
    .least = 1,
    .most = 1,
};

static enum command_result resume_step(struct invocation *call)
{
    struct vm *vm = command_vm(call, call->argv[1]);
    if (!vm || call->cancelled)
        return COMMAND_DONE;
    return verb_result(call, vm, vm_resume(vm), "a paused VM", "runs on");
}

const struct command command_resume = {
    .name = "resume",
    .usage = "VM",
    .help = "lets a paused VM run on",
    .more = "    resume a\n",
    .step = resume_step,
    .arguments = {ARGUMENT_VM},
    .least = 1,
    .most = 1,
};

/* state[0]: until when to wait. */
static bool is_patient(const struct invocation *call)
{
    return rdtsc() < call->state[0];
}

static bool is_stopped(struct vm *vm)
{
    struct vm_view view;
    return vm_look(vm, &view) && !strcmp(view.state, "stopped");
}

/* The first call ends the VM, the further ones wait. DONE: it is stopped. */
static enum command_result end_and_wait(struct invocation *call, struct vm *vm)
{
    if (call->at == 0) {
        int status = vm_end(vm);
        if (status == -EAGAIN)
            return COMMAND_WAIT;
        if (status)
            return wrong_state(call, vm, "a VM that runs, or is paused or restarting");
        call->at = 1;
        call->state[0] = rdtsc() + time_us_to_ticks(PATIENCE_US);
    }
    if (is_stopped(vm)) {
        call->state[1] = true;
        return COMMAND_DONE;
    }
    if (is_patient(call))
        return COMMAND_WAIT;
    return command_fail(call, "%s: it is still %s; it will stop, but is not waited for",
                        vm->config.name, vm_state_text(vm));
}

static enum command_result stop_step(struct invocation *call)
{
    struct vm *vm = command_vm(call, call->argv[1]);
    if (!vm || call->cancelled)
        return COMMAND_DONE;
    enum command_result result = end_and_wait(call, vm);
    return call->state[1] ? done(call, vm, "stopped") : result;
}

const struct command command_stop = {
    .name = "stop",
    .usage = "VM",
    .help = "ends a VM for good: no restart= applies",
    .more = "Its memory is given back. Its record stays, and start starts it anew.\n"
            "    stop a\n",
    .step = stop_step,
    .arguments = {ARGUMENT_VM},
    .least = 1,
    .most = 1,
};

static enum command_result start_vm(struct invocation *call, struct vm *vm, const char *what)
{
    int status = vm_start(vm);
    if (status == -EAGAIN)
        return COMMAND_WAIT;
    if (status == -EBUSY)
        return wrong_state(call, vm, "a stopped VM");
    if (status)
        return command_fail(call, "%s: it does not start: the log says why", vm->config.name);
    uint64_t ms = time_ticks_to_ns(vm->start_cost) / 1000000;
    if (ms >= LONG_MS)
        output_text(&call->out, "%s: this core was busy building it for %llu ms\n",
                    vm->config.name, (unsigned long long)ms);
    return done(call, vm, what);
}

static enum command_result start_step(struct invocation *call)
{
    struct vm *vm = command_vm(call, call->argv[1]);
    return vm && !call->cancelled ? start_vm(call, vm, "started") : COMMAND_DONE;
}

const struct command command_start = {
    .name = "start",
    .usage = "VM",
    .help = "starts a stopped VM from its module",
    .more = "It is built on the boot processor, whose guests wait meanwhile: long, if it is\n"
            "large and its memory eager.\n"
            "    start a\n",
    .step = start_step,
    .arguments = {ARGUMENT_VM},
    .least = 1,
    .most = 1,
};

static enum command_result restart_step(struct invocation *call)
{
    struct vm *vm = command_vm(call, call->argv[1]);
    if (!vm || call->cancelled)
        return COMMAND_DONE;
    enum command_result result = end_and_wait(call, vm);
    return call->state[1] ? start_vm(call, vm, "started anew") : result;
}

const struct command command_restart = {
    .name = "restart",
    .usage = "VM",
    .help = "stops a VM and starts it anew",
    .more = "Ctrl-C while it waits leaves the VM stopped.\n    restart a\n",
    .step = restart_step,
    .arguments = {ARGUMENT_VM},
    .least = 1,
    .most = 1,
};

/* ---- info ------------------------------------------------------------------------------------ */

#define VALUE_MAX 96

static const struct column fact_columns[] = {{"ITEM", "item", -14}, {"VALUE", "value", 0}};

/* `item` is two words at most; what belongs to the same matter begins alike. */
static void fact(struct output *out, const char *item, const char *value)
{
    row_begin(out, fact_columns, ARRAY_SIZE(fact_columns));
    row_text(out, item);
    row_text(out, value);
    row_end(out);
}

static void __attribute__((format(printf, 3, 4)))
fact_format(struct output *out, const char *item, const char *format, ...)
{
    char value[VALUE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    fact(out, item, value);
}

static void fact_size(struct output *out, const char *item, uint64_t bytes)
{
    fact_format(out, item, "%llu KiB", (unsigned long long)(bytes / KIB));
}

static void fact_time(struct output *out, const char *item, uint64_t ticks)
{
    uint64_t us = time_ticks_to_ns(ticks) / 1000;
    fact_format(out, item, "%llu.%06llu s", (unsigned long long)(us / 1000000),
                (unsigned long long)(us % 1000000));
}

/* "0,2-3", as on the module line; what does not fit is "...". */
static void cpus_text(const struct vm_config *config, char text[VALUE_MAX])
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t first = 0; first < VM_CORES_MAX; first++) {
        if (!sched_in_set(config->cpus, first))
            continue;
        uint32_t last = first;
        while (last + 1 < VM_CORES_MAX && sched_in_set(config->cpus, last + 1))
            last++;
        if (used > VALUE_MAX - 16) {
            snprintf(text + used, VALUE_MAX - used, ",...");
            return;
        }
        used += (size_t)snprintf(text + used, VALUE_MAX - used, "%s%u", used ? "," : "", first);
        if (last > first)
            used += (size_t)snprintf(text + used, VALUE_MAX - used, "-%u", last);
        first = last;
    }
}

static void show_restart_policy(struct output *out, const struct vm_config *config)
{
    static const char *const names[] = {[RESTART_NEVER] = "never",
                                        [RESTART_ON_FAILURE] = "on-failure",
                                        [RESTART_ALWAYS] = "always"};
    if (config->restart == RESTART_NEVER)
        fact(out, "restart", names[config->restart]);
    else
        fact_format(out, "restart", "%s,limit=%u,backoff=%u", names[config->restart],
                    config->restart_limit, config->restart_backoff_ms);
}

static void show_place(struct output *out, const struct vm_config *config)
{
    char cores[VALUE_MAX];
    if (config->cap)
        fact_format(out, "cap", "%u%% of a core", config->cap);
    else
        fact(out, "cap", "none");
    cpus_text(config, cores);
    fact(out, "cpus", config->pinned ? cores : "all");
}

/* What its module line asked for, by the names of the keys. It never changes. */
static void show_config(struct output *out, const struct vm *vm)
{
    const struct vm_config *config = &vm->config;
    output_header(out, fact_columns, ARRAY_SIZE(fact_columns));
    fact(out, "name", config->name);
    fact_format(out, "id", "%u", vm->id);
    fact_size(out, "module", vm->file_size);
    fact(out, "cmdline", config->command_line);
    fact_format(out, "mem", "%llu KiB%s", (unsigned long long)(config->memory / KIB),
                config->eager ? ",eager" : "");
    fact_format(out, "vcpus", "%u", config->vcpus);
    fact_format(out, "weight", "%u", config->weight);
    show_place(out, config);
    show_restart_policy(out, config);
    fact_format(out, "boot_order", "%d", config->boot_order);
    fact(out, "after", *config->after ? config->after : "-");
    fact(out, "control", config->control ? "yes" : "no");
}

static void show_life(struct output *out, const struct vm_view *view)
{
    char ended[VM_ENDED_MAX];
    vm_ended_text(view, ended);
    fact(out, "state", view->state);
    fact_format(out, "starts", "%u", view->starts);
    fact_format(out, "restarts", "%u in a row", view->restarts);
    fact(out, "last end", ended);
    if (!strcmp(view->state, "restarting"))
        fact_time(out, "starts in", view->restart_tsc - MIN(view->restart_tsc, rdtsc()));
    fact_time(out, "run time", view->run_ticks);
    if (!view->alive)
        return;
    fact_time(out, "life", view->life_ticks);
    fact_time(out, "life run time", view->life_run_ticks);
    fact_size(out, "memory", view->size);
    fact_size(out, "resident", view->resident);
    fact_size(out, "reserved", view->reserved);
    fact_size(out, "EPT tables", view->tables);
    fact_size(out, "hypervisor's", view->overhead);
}

static void show_console(struct output *out, const struct vm *vm)
{
    struct console *console = vm->console;
    if (!console)
        return;
    spin_lock(&console->lock);
    uint64_t written = console->written, dropped = console->dropped;
    spin_unlock(&console->lock);
    fact_format(out, "console", "%llu bytes written, %llu lines dropped and not yet reported%s",
                (unsigned long long)written, (unsigned long long)dropped,
                atomic_load_explicit(&console->attached, memory_order_relaxed) ? ", attached"
                                                                                : "");
}

static const struct column vcpu_columns[] = {
    {"VCPU", "vcpu", 4},         {"STATE", "state", -8},       {"CORE", "core", 4},
    {"RUN MS", "run_ms", 9},     {"WAITS FOR", "waits_for", -9}, {"WAKES IN US", "wakes_us", 11},
    {"TIMER IN US", "timer_us", 11}};

static const char *wait_name(const struct vcpu_view *view)
{
    static const char *const names[] = {[WAIT_NOTHING] = "-", [WAIT_INTERRUPT] = "interrupt",
                                        [WAIT_TIME] = "time", [WAIT_FRAME] = "frame",
                                        [WAIT_BUDGET] = "cap"};
    return view->state == VCPU_CREATED ? "start" : names[view->wait];
}

/* From now until `tsc` in microseconds, 0 when it is over. */
static void until_cell(struct output *out, uint64_t tsc)
{
    uint64_t now = rdtsc();
    if (tsc == UINT64_MAX)
        row_none(out);
    else
        row_number(out, tsc > now ? time_ticks_to_ns(tsc - now) / 1000 : 0);
}

static void vcpu_row(struct output *out, uint32_t index, const struct vcpu_view *view)
{
    row_begin(out, vcpu_columns, ARRAY_SIZE(vcpu_columns));
    row_number(out, index);
    row_text(out, vcpu_state_name(view->state));
    row_number(out, view->cpu);
    row_number(out, time_ticks_to_ns(view->run_ticks) / 1000000);
    row_text(out, wait_name(view));
    until_cell(out, view->wake);
    until_cell(out, view->timer);
    row_end(out);
}

/* state[0]: the next vCPU. DONE: all are shown, or it does not live now. */
static enum command_result show_vcpus(struct invocation *call, struct vm *vm)
{
    for (unsigned rows = 0; rows < COMMAND_ROWS; rows++) {
        uint32_t index = (uint32_t)call->state[0];
        struct vcpu_view view;
        bool there;
        if (!vcpu_look(vm, index, &view, &there))
            return COMMAND_WAIT;
        if (!there)
            return COMMAND_DONE;
        if (index == 0)
            output_header(&call->out, vcpu_columns, ARRAY_SIZE(vcpu_columns));
        vcpu_row(&call->out, index, &view);
        call->state[0]++;
    }
    return COMMAND_MORE;
}

static const struct column place_columns[] = {
    {"SLOT", "slot", 4},       {"LINK", "link", -16},   {"ADDRESS", "address", 12},
    {"PAGES", "pages", 5},     {"PEER", "peer", 4},     {"RIGHTS", "rights", -6},
    {"VECTOR", "vector", 6},   {"PEERS", "peers", 5},   {"ALIVE", "alive", 5}};

static void place_row(struct output *out, const struct vm *vm, uint32_t slot)
{
    const struct link_place *place = &vm->links[slot];
    struct link_view link;
    struct link_peer_view peer;
    link_look(place->link, &link);
    (void)link_look_at_peer(place->link, place->peer, &peer);
    row_begin(out, place_columns, ARRAY_SIZE(place_columns));
    row_number(out, slot);
    row_text(out, link.name);
    row_hex(out, ATOLL_LINK_BASE + slot * ATOLL_LINK_STRIDE);
    row_number(out, link.pages);
    row_number(out, place->peer);
    row_text(out, peer.writable ? "rw" : "ro");
    row_number(out, peer.vector);
    row_number(out, link.peers);
    row_number(out, link.alive);
    row_end(out);
}

/* Its places in links are made at boot and stay; one that was refused may have none. */
static void show_places(struct output *out, const struct vm *vm)
{
    for (uint32_t slot = 0; slot < vm->config.link_count && vm->links[slot].link; slot++) {
        if (slot == 0)
            output_header(out, place_columns, ARRAY_SIZE(place_columns));
        place_row(out, vm, slot);
    }
}

enum info_part { INFO_CONFIG, INFO_LIFE, INFO_CONSOLE, INFO_VCPUS, INFO_LINKS, INFO_END };

static enum command_result info_part(struct invocation *call, struct vm *vm)
{
    struct vm_view view;
    switch ((enum info_part)call->at) {
    case INFO_CONFIG:
        show_config(&call->out, vm);
        break;
    case INFO_LIFE:
        if (!command_look(call, vm, &view))
            return COMMAND_WAIT;
        show_life(&call->out, &view);
        if (view.busy)
            return COMMAND_DONE;
        break;
    case INFO_CONSOLE:
        show_console(&call->out, vm);
        break;
    case INFO_VCPUS: {
        enum command_result result = show_vcpus(call, vm);
        if (result != COMMAND_DONE)
            return result;
        break;
    }
    case INFO_LINKS:
        show_places(&call->out, vm);
        break;
    case INFO_END:
        return COMMAND_DONE;
    }
    call->at++;
    return COMMAND_MORE;
}

static enum command_result info_step(struct invocation *call)
{
    struct vm *vm = command_vm(call, call->argv[1]);
    return !vm || call->cancelled ? COMMAND_DONE : info_part(call, vm);
}

const struct command command_info = {
    .name = "info",
    .usage = "VM",
    .help = "all about one VM, its vCPUs, its places in links",
    .more = "The first items are the keys of its module line. WAKES IN is the end of a sleep\n"
            "or of a wait for its cap, TIMER IN the next interrupt of its local APIC's timer.\n"
            "    info a\n",
    .step = info_step,
    .arguments = {ARGUMENT_VM},
    .least = 1,
    .most = 1,
    .lists = true,
};

/* ---- links ----------------------------------------------------------------------------------- */

static const struct column link_columns[] = {
    {"LINK", "link", -16},     {"PAGES", "pages", 5},       {"PEER", "peer", 4},
    {"VM", "vm", -16},         {"STATE", "state", -5},      {"RIGHTS", "rights", -6},
    {"STARTS", "generation", 6}, {"VECTOR", "vector", 6},   {"RUNG", "pending", 4}};

static const char *peer_state(const struct link_peer_view *peer)
{
    if (peer->alive)
        return "alive";
    return peer->gone ? "gone" : "dead";
}

static void peer_row(struct output *out, const struct link_view *link, uint32_t number,
                     const struct link_peer_view *peer)
{
    row_begin(out, link_columns, ARRAY_SIZE(link_columns));
    row_text(out, link->name);
    row_number(out, link->pages);
    row_number(out, number);
    row_text(out, peer->vm->config.name);
    row_text(out, peer_state(peer));
    row_text(out, peer->writable ? "rw" : "ro");
    row_number(out, peer->generation);
    row_number(out, peer->vector);
    row_number(out, peer->pending);
    row_end(out);
}

/* state[0]: the link (links stay), [1]: the next peer. */
static enum command_result links_step(struct invocation *call)
{
    if (call->cancelled)
        return COMMAND_DONE;
    struct link *link = (struct link *)(uintptr_t)call->state[0];
    if (call->at++ == 0) {
        output_header(&call->out, link_columns, ARRAY_SIZE(link_columns));
        link = link_after(NULL);
    }
    for (unsigned rows = 0; link && rows < COMMAND_ROWS;) {
        struct link_view view;
        struct link_peer_view peer;
        uint32_t number = (uint32_t)call->state[1]++;
        link_look(link, &view);
        if (link_look_at_peer(link, number, &peer)) {
            peer_row(&call->out, &view, number, &peer);
            rows++;
        } else {
            link = link_after(link);
            call->state[1] = 0;
        }
    }
    call->state[0] = (uintptr_t)link;
    return link ? COMMAND_MORE : COMMAND_DONE;
}

const struct command command_links = {
    .name = "links",
    .usage = "",
    .help = "all links, and the VMs on them",
    .more = "A peer is dead between two lives, and gone when it does not start again by\n"
            "itself. VECTOR is what a ring interrupts it with (0: nothing), RUNG how many\n"
            "peers rang, came or died since it last polled.\n",
    .step = links_step,
    .lists = true,
};

/* ---- console --------------------------------------------------------------------------------- */

static enum command_result console_step(struct invocation *call)
{
    struct vm *vm = command_vm(call, call->argv[1]);
    if (!vm || call->cancelled)
        return COMMAND_DONE;
    if (!strcmp(vm_state_text(vm), "refused"))
        return wrong_state(call, vm, "one that could start");
    monitor_attach(vm); /* which says how to leave */
    return COMMAND_DONE;
}

const struct command command_console = {
    .name = "console",
    .usage = "VM",
    .help = "gives the terminal to a VM",
    .more = "What it wrote last is shown again. All keys are its own but Ctrl-O, which\n"
            "leaves it; typed twice it is sent. The option escape= changes that key.\n"
            "What comes before the next prompt is dropped: a terminal may answer what the\n"
            "guest asked it.\n"
            "    console a\n",
    .step = console_step,
    .arguments = {ARGUMENT_VM},
    .least = 1,
    .most = 1,
};
