/* SPDX-License-Identifier: MIT */
/* The life of a VM: made from a module, started, stopped with a reason, given back, started again.
 */
#include "kernel/vm/vm.h"

#include <linux/errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/escape.h"
#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/panic.h"
#include "kernel/vm/console.h"
#include "kernel/vm/devices.h"
#include "kernel/vm/frame_audit.h"
#include "kernel/vm/hvt.h"
#include "kernel/vm/hvt_image.h"
#include "kernel/vm/loader.h"
#include "kernel/vm/sched.h"
#include "kernel/vm/trace.h"

#define VPIDS          UINT16_MAX
#define HOLE_TABLES    2 /* a page directory for 3 to 4 GiB, a page table for the identity map */
#define BACKOFF_MAX_MS 1000
#define BACKOFF_SHIFT  10    /* doublings that matter */
#define COSTLY_MS      4     /* a start and an end that take longer are put off */
#define LOCK_SPINS     1000  /* microseconds: far less than a VM takes to be built */
#define STABLE_MS      10000 /* who ran so long starts anew with the limit of its restarts */

/* What a vCPU takes from its VM's pool besides VMX_VCPU_FRAMES. */
struct vcpu_page {
    struct vcpu vcpu;
    struct stats stats;
};
_Static_assert(sizeof(struct vcpu_page) <= PAGE_SIZE, "a vCPU and its figures are one page");
_Static_assert(VAPIC_SIZE <= VMX_APIC_SIZE, "all registers of the APIC are in the part for them");

static struct module_line line; /* that is being read: at boot only */
static uint32_t vpids_used;
static _Atomic uint32_t alive;

const char *stop_reason_name(enum stop_reason reason)
{
    static const char *const names[] = {
#define X(name) #name,
        STOP_REASONS(X)
#undef X
    };
    return (unsigned)reason < ARRAY_SIZE(names) ? names[reason] : "?";
}

uint32_t vms_alive(void)
{
    /* acquire: who sees the last one gone sees what it left in its record */
    return atomic_load_explicit(&alive, memory_order_acquire);
}

uint64_t vm_run_ticks(const struct vm *vm)
{
    uint64_t ticks = 0;
    for (uint32_t i = 0; i < vm->config.vcpus && vm->vcpus[i]; i++)
        ticks += vm->vcpus[i]->run_ticks;
    return ticks;
}

/* Names in `error` may come from an image or a module line: they bring no control bytes. */
void vm_refuse(struct vm *vm, const char *error)
{
    char text[VMX_ERROR_MAX];
    text[escape_text(text, sizeof text - 1, error, strlen(error))] = '\0';
    vm->state = VM_REFUSED;
    if (vm->config.name[0] == '\0')
        snprintf(vm->config.name, sizeof vm->config.name, "module%u", vm->id);
    log_line(vm->config.name, "refused: %s", text);
}

/* The record of a VM and, each as large as the line asks for, its places for vCPUs, its links and
 * its command line; and its console: mostly one page for all. */
static struct vm *make_record(void)
{
    const struct vm_config *config = &line.config;
    size_t links = offsetof(struct vm, vcpus) + config->vcpus * sizeof(struct vcpu *);
    size_t console = links + config->link_count * sizeof *config->links;
    size_t text = console + sizeof(struct console);
    size_t length = strlen(config->command_line) + 1;
    _Static_assert(sizeof(struct link_config) % _Alignof(struct console) == 0, "it is aligned");
    _Static_assert(sizeof(struct vm) + sizeof line.links + sizeof(struct console) +
                   sizeof line.command_line <= 2 * PAGE_SIZE, "two pages hold any");
    unsigned order = text + length > PAGE_SIZE;
    hpa_t frames;
    if (frame_alloc(order, &frames))
        return NULL;
    char *record = phys_to_virt(frames);
    struct vm *vm = (struct vm *)record;
    vm->record_frames = 1u << order;
    vm->config = *config;
    vm->config.links = memcpy(record + links, config->links, console - links);
    vm->config.command_line = memcpy(record + text, config->command_line, length);
    vm->console = (struct console *)(record + console);
    if (vm_index_add(vm) == 0)
        return vm;
    (void)frame_free(frames, order);
    return NULL;
}

/* Each copy has a name of its own: that of the line with its number behind it. */
static void name_copy(struct vm_config *config, uint32_t copy)
{
    size_t length = strlen(config->name);
    if (config->copies > 1) /* module_line_parse saw to it that there is room */
        snprintf(config->name + length, sizeof config->name - length, "%u", copy);
}

struct vm *vm_create(const char *string, const void *file, size_t size, uint32_t copy)
{
    char error[VMX_ERROR_MAX];
    _Static_assert(MODULE_LINE_ERROR_MAX <= VMX_ERROR_MAX, "the parser's error fits");
    int status = module_line_parse(string, &line, error);
    struct vm *vm = make_record();
    if (!vm) {
        log_info("no memory for the record of another guest: \"%.64s\" is refused", string);
        return NULL;
    }
    vm->state = VM_STOPPED;
    vm->file = file;
    vm->file_size = size;

    if (status)
        vm_refuse(vm, error);
    else
        name_copy(&vm->config, copy);
    bool taken = vm_index_name(vm) != 0;
    if (status)
        return vm;
    if (taken) {
        snprintf(error, sizeof error, "another guest has the name \"%s\"", vm->config.name);
        vm_refuse(vm, error);
    } else if (devices_create(vm, line.devices, error)) {
        vm_refuse(vm, error);
    }
    return vm;
}

/* ---- Start ----------------------------------------------------------------------------------- */

/* VPID 0 is the host's; with more vCPUs than VPIDs a VM goes without. Returns the first one. */
static uint16_t take_vpids(uint32_t count)
{
    if (count > VPIDS - vpids_used)
        return 0;
    vpids_used += count;
    return (uint16_t)(vpids_used - count + 1);
}

static int create_vcpu(struct vm *vm, uint32_t index, char error[VMX_ERROR_MAX])
{
    struct vcpu_page *page = frame_pool_page(&vm->memory.pool);
    snprintf(error, VMX_ERROR_MAX, "no memory for a vCPU");
    if (!page)
        return -ENOMEM;
    struct vcpu *vcpu = &page->vcpu;
    uint16_t vpid = vm->first_vpid ? (uint16_t)(vm->first_vpid + index) : 0;
    int status = vmx_vcpu_create(&vcpu->vmx, &vm->memory.ept, &vm->memory.pool, vpid,
                                 vm->tsc_offset, error);
    if (status) {
        frame_pool_free_page(&vm->memory.pool, page);
        return status;
    }
    if (STATS_KEPT) {
        vcpu->stats = &page->stats;
        stats_init(vcpu->stats, rdtsc());
    }
    vcpu->vm = vm;
    vcpu->index = index;
    vcpu->state = VCPU_CREATED;
    vcpu->apic.page = vcpu->vmx.apic_page;
    vcpu->apic.tsc_per_count = time_tsc_per_crystal();
    vapic_reset(&vcpu->apic, index);
    snprintf(vcpu->name, sizeof vcpu->name, "%s.%u", vm->config.name, index);
    vm->vcpus[index] = vcpu;
    return 0;
}

/* What is left of a life: how often each reason exited. Most slots are empty, and nobody counts any
 * more. */
static void keep_exits(struct vm *vm, const struct stats *stats)
{
    struct stat_row row;
    for (uint32_t slot = 0; stats && slot < STAT_SLOTS; slot++)
        if (stats->slots[slot].count && stats_row(stats, slot, &row))
            vm->exits[row.reason] += row.count;
}

static void destroy_vcpus(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        if (!vm->vcpus[i])
            continue;
        keep_exits(vm, vm->vcpus[i]->stats);
        vmx_vcpu_destroy(&vm->vcpus[i]->vmx);
        frame_pool_free_page(&vm->memory.pool, vm->vcpus[i]);
        vm->vcpus[i] = NULL;
    }
}

/* All that a life holds. */
static void give_back(struct vm *vm)
{
    devices_stop(vm);
    destroy_vcpus(vm);
    devices_free(vm);
    guest_memory_destroy(&vm->memory);
}

static int create_vcpus(struct vm *vm, char error[VMX_ERROR_MAX])
{
    vm->tsc_offset = -rdtsc();
    if (vm->first_vpid == 0)
        vm->first_vpid = take_vpids(vm->config.vcpus);
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        int status = create_vcpu(vm, i, error);
        if (status)
            return status;
    }
    int status = links_enter(vm);
    if (status)
        snprintf(error, VMX_ERROR_MAX, "no memory for its links");
    return status;
}

/* What a VM takes beyond its RAM and the tables for that. */
static uint64_t frames_beyond_memory(const struct vm *vm)
{
    return vm->config.vcpus * (1 + VMX_VCPU_FRAMES) + links_tables(&vm->config) + HOLE_TABLES;
}

/* The hypervisor's memory for it, its record and its console included. */
static uint64_t overhead_kib(struct vm *vm)
{
    return (guest_memory_overhead(&vm->memory) + vm->record_frames) * PAGE_SIZE / KIB;
}

/* Builds what a guest needs to run. Returns 0 with where it starts, or an error with one line. */
static int build(struct vm *vm, uint64_t *start_at, char error[VMX_ERROR_MAX])
{
    gpa_t entry, start_info = GPA(HVT_BOOT_INFO);
    _Static_assert(LOADER_ERROR_MAX <= VMX_ERROR_MAX, "the loader's error fits");
    vm->hvt = hvt_image_is(vm->file, vm->file_size);
    int status = vm->hvt ? hvt_load(vm, frames_beyond_memory(vm), &entry, error)
                         : guest_load(&vm->memory, &vm->config, vm->file, vm->file_size,
                                      frames_beyond_memory(vm), &entry, &start_info, error);
    if (status)
        return status;
    status = devices_start(vm);
    if (status)
        snprintf(error, VMX_ERROR_MAX, "no memory for what it may write to its disks");
    else
        status = create_vcpus(vm, error);
    if (status) {
        give_back(vm);
        return status;
    }
    devices_open(vm);
    *start_at = entry.value | start_info.value << 32;
    log_line(vm->config.name,
             "created: %s%llu KiB, entry 0x%llx, start info 0x%llx; %llu KiB of the hypervisor's",
             vm->hvt ? "Solo5 hvt, " : "", (unsigned long long)(vm->memory.size / KIB),
             (unsigned long long)entry.value, (unsigned long long)start_info.value,
             (unsigned long long)overhead_kib(vm));
    return 0;
}

static void count_in(struct vm *vm)
{
    if (!vm->counted)
        atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    vm->counted = true;
}

/* Stopped for good. */
static void count_out(struct vm *vm)
{
    links_give_up(vm);
    devices_give_up(vm);
    if (!vm->counted)
        return;
    vm->counted = false;
    /* release: see vms_alive */
    if (atomic_fetch_sub_explicit(&alive, 1, memory_order_release) == 1)
        sched_wake_all(); /* it was the last one: the cores leave their loops */
}

/* With the VM's lock. */
static int start(struct vm *vm)
{
    char error[VMX_ERROR_MAX];
    uint64_t start_at, begin = rdtsc();
    int status = build(vm, &start_at, error);
    if (status && vm->starts == 0) {
        links_give_up(vm);
        devices_give_up(vm);
        vm_refuse(vm, error);
        return status;
    }
    if (status) {
        log_line(vm->config.name, "does not start again: %s", error);
        count_out(vm);
        return status;
    }
    console_reset(vm);
    vm->state = VM_ALIVE;
    vm->status = 0;
    vm->ended = false;
    vm->started_tsc = rdtsc();
    atomic_store_explicit(&vm->stop_reason, STOP_NONE, memory_order_relaxed);
    atomic_store_explicit(&vm->paused, false, memory_order_relaxed);
    atomic_store_explicit(&vm->users, vm->config.vcpus, memory_order_relaxed);
    atomic_store_explicit(&vm->awake, 0, memory_order_relaxed);
    count_in(vm);
    for (uint32_t i = 0; i < vm->config.vcpus; i++)
        sched_adopt(vm->vcpus[i]);
    vm->start_cost = rdtsc() - begin;
    if (vm->starts++ > 0) /* who starts again and again pays for it */
        vm->vcpus[0]->owed = vm->start_cost + vm->end_cost;
    atomic_store_explicit(&vm->vcpus[0]->start_at, start_at, memory_order_relaxed);
    sched_post(vm->vcpus[0], REQUEST_START);
    return 0;
}

int vm_start(struct vm *vm)
{
    if (!spin_trylock(&vm->lock))
        return -EAGAIN;
    int status = -EBUSY;
    if (vm->state == VM_STOPPED && !vm->restarting) {
        vm->restarts = 0;
        status = start(vm);
    }
    spin_unlock(&vm->lock);
    return status;
}

/* ---- Stop ------------------------------------------------------------------------------------ */

static void dump_instruction(const struct vcpu *vcpu, uint64_t rip)
{
    uint8_t bytes[INSTRUCTION_MAX];
    char text[3 * INSTRUCTION_MAX + 1];
    unsigned count = 0;
    text[0] = '\0';
    for (; count < INSTRUCTION_MAX; count++) {
        gpa_t guest;
        if (vmx_translate(&vcpu->vmx, rip + count, &guest) ||
            guest_read(&vcpu->vm->memory, guest, &bytes[count], 1))
            break;
        snprintf(text + 3 * count, sizeof text - 3 * count, " %02x", bytes[count]);
    }
    log_line(vcpu->name, "  bytes at rip:%s", count ? text : " not readable");
}

/* The exit, the registers, the bytes at RIP, and after a failed entry the auditor's findings. */
static void describe_stop(const struct vcpu *vcpu, const struct vm_exit *exit)
{
    char decoded[LOG_LINE_MAX];
    vmx_exit_describe(decoded, sizeof decoded, exit, vcpu->vmx.gpr);
    log_line(vcpu->name, "  exit %u %s rip=0x%llx %s", exit->reason, vmx_exit_name(exit->reason),
             (unsigned long long)exit->rip, decoded);
    vmx_dump_guest(&vcpu->vmx, vcpu->name);
    dump_instruction(vcpu, exit->rip);
    if (exit->entry_failed)
        vmx_audit(&vcpu->vmx, vcpu->name);
}

/* The first one gives the reason. */
static bool give_reason(struct vm *vm, enum stop_reason reason)
{
    uint32_t none = STOP_NONE;
    /* release: who sees the reason sees what led to it */
    return atomic_compare_exchange_strong_explicit(&vm->stop_reason, &none, reason,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* Has all vCPUs but `except` (may be NULL) look at the reason. */
static void tell_vcpus(struct vm *vm, const struct vcpu *except)
{
    for (uint32_t i = 0; i < vm->config.vcpus; i++)
        if (vm->vcpus[i] != except)
            sched_post(vm->vcpus[i], REQUEST_LOOK);
}

void vm_stop(struct vcpu *vcpu, enum stop_reason reason, const struct vm_exit *exit,
             const char *format, ...)
{
    struct vm *vm = vcpu->vm;
    if (vcpu_next_state(vcpu->state, VCPU_STOP, &vcpu->state))
        panic("%s cannot stop", vcpu->name);
    if (!give_reason(vm, reason))
        return;
    if (trace_is_on())
        trace_stop(vcpu, reason);
    vm->status = vcpu->exit_status;
    console_flush(vm);

    char detail[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    log_block_begin();
    log_line(vcpu->name, "stopped: %s: %s%s", stop_reason_name(reason), detail,
             vm->hvt && reason != STOP_GUEST_EXIT ? ", status 1" : ""); /* as Solo5's tender says */
    if (exit)
        describe_stop(vcpu, exit);
    else if (reason == STOP_VMFAIL)
        vmx_audit(&vcpu->vmx, vcpu->name);
    log_block_end();
    links_leave(vm);
    devices_stop(vm);
    tell_vcpus(vm, vcpu);
}

static void stop_for_good(struct vm *vm)
{
    vm->ended = true;
    if (vm->restarting) {
        vm->restarting = false;
        log_line(vm->config.name, "does not start again: stopped by the operator");
        count_out(vm);
    } else if (give_reason(vm, STOP_OPERATOR)) {
        log_line(vm->config.name, "stopped: %s: from outside", stop_reason_name(STOP_OPERATOR));
        if (trace_is_on())
            trace_stop(vm->vcpus[0], STOP_OPERATOR);
        links_leave(vm);
        devices_stop(vm);
        tell_vcpus(vm, NULL);
    }
}

int vm_end(struct vm *vm)
{
    if (!spin_trylock(&vm->lock))
        return -EAGAIN;
    bool runs = vm->state == VM_ALIVE || vm->restarting;
    if (runs)
        stop_for_good(vm);
    spin_unlock(&vm->lock);
    return runs ? 0 : -EINVAL;
}

static int set_paused(struct vm *vm, bool paused)
{
    if (!spin_trylock(&vm->lock))
        return -EAGAIN;
    bool able = vm->state == VM_ALIVE &&
                atomic_load_explicit(&vm->paused, memory_order_relaxed) != paused;
    if (able) {
        atomic_store_explicit(&vm->paused, paused, memory_order_relaxed);
        tell_vcpus(vm, NULL);
    }
    spin_unlock(&vm->lock);
    return able ? 0 : -EINVAL;
}

int vm_pause(struct vm *vm)
{
    return set_paused(vm, true);
}

int vm_resume(struct vm *vm)
{
    return set_paused(vm, false);
}

/* ---- The end, and again ---------------------------------------------------------------------- */

static uint64_t backoff_ms(const struct vm *vm)
{
    uint64_t ms = (uint64_t)vm->config.restart_backoff_ms << MIN(vm->restarts, BACKOFF_SHIFT);
    return MIN(ms, MAX(BACKOFF_MAX_MS, vm->config.restart_backoff_ms));
}

/* A start that took so long that no share of later time makes up for it (large, eager memory) waits
 * long enough to take no more than a tenth of a core. */
static uint64_t costly_ms(const struct vm *vm)
{
    uint64_t ms = time_ticks_to_ns(vm->start_cost + vm->end_cost) / 1000000;
    return ms >= COSTLY_MS ? 10 * ms : 0;
}

static void restart(struct timer *timer)
{
    struct vm *vm = (struct vm *)((char *)timer - offsetof(struct vm, timer));
    spin_lock(&vm->lock);
    if (vm->restarting && rdtsc() < vm->restart_tsc) {
        /* This was the timer of an earlier end; another core may have armed it again by now. */
        if (!timer->armed)
            sched_arm(timer, vm->restart_tsc);
    } else if (vm->restarting) {
        vm->restarting = false;
        vm->restarts++;
        (void)start(vm);
    }
    spin_unlock(&vm->lock);
}

static bool wants_restart(const struct vm *vm)
{
    const struct vm_config *config = &vm->config;
    bool failed = vm->last_reason != STOP_GUEST_EXIT || vm->status != 0;
    if (vm->ended || config->restart == RESTART_NEVER)
        return false;
    return config->restart == RESTART_ALWAYS || failed;
}

static void plan_restart(struct vm *vm)
{
    const struct vm_config *config = &vm->config;
    if (rdtsc() - vm->started_tsc > time_us_to_ticks(STABLE_MS * 1000ull))
        vm->restarts = 0;
    if (config->restart_limit && vm->restarts >= config->restart_limit) {
        log_line(config->name, "does not start again: %u restarts are the limit", vm->restarts);
        count_out(vm);
        return;
    }
    uint64_t ms = MAX(backoff_ms(vm), costly_ms(vm));
    log_line(config->name, "starts again in %llu ms (restart %u)", (unsigned long long)ms,
             vm->restarts + 1);
    vm->restarting = true;
    vm->restart_tsc = rdtsc() + time_us_to_ticks(ms * 1000);
    vm->timer.fire = restart;
    if (!vm->timer.armed)
        sched_arm(&vm->timer, vm->restart_tsc);
}

/* Gives back all but the record. Nobody uses the VM any more; with its lock. */
static void finish(struct vm *vm)
{
    uint64_t begin = rdtsc();
    console_flush(vm);
    vm->last_reason = (enum stop_reason)atomic_load_explicit(&vm->stop_reason,
                                                             memory_order_relaxed);
    vm->run_ticks += vm_run_ticks(vm);
    vm->overhead = MAX(vm->overhead, overhead_kib(vm));
    vm->vtime = vm->vcpus[0]->entry.vtime;
    give_back(vm);
    vm->end_cost = rdtsc() - begin;
    vm->state = VM_STOPPED;
    if (!wants_restart(vm)) {
        count_out(vm);
        return;
    }
    plan_restart(vm);
    vm->end_cost = rdtsc() - begin; /* with the plan: who starts again pays for that, too */
}

/* Who looks at a VM or changes its state has the lock for a moment only, and is waited for. */
static bool lock_soon(struct vm *vm)
{
    for (unsigned i = 0; i < LOCK_SPINS; i++) {
        if (spin_trylock(&vm->lock))
            return true;
        cpu_pause();
    }
    return false;
}

bool vm_hold(struct vm *vm)
{
    if (!lock_soon(vm))
        return false;
    bool lives = vm->state == VM_ALIVE;
    if (lives) /* relaxed: it is not given back without the lock */
        atomic_fetch_add_explicit(&vm->users, 1, memory_order_relaxed);
    spin_unlock(&vm->lock);
    return lives;
}

void vm_put(struct vm *vm)
{
    /* acq_rel: the last one sees what all others did */
    if (atomic_fetch_sub_explicit(&vm->users, 1, memory_order_acq_rel) != 1)
        return;
    spin_lock(&vm->lock);
    /* Meanwhile someone outside may have posted to it, and then ends it later. */
    bool ends = vm->state == VM_ALIVE &&
                atomic_load_explicit(&vm->users, memory_order_acquire) == 0;
    if (ends)
        finish(vm);
    spin_unlock(&vm->lock);
    if (ends)
        frame_audit_sometimes();
}
