/* SPDX-License-Identifier: MIT */
/* The scheduler as a whole, with the life of VMs above it, on a simulated machine of one to four
 * cores with scripted guests: in many random interleavings no wake-up, request or stop is lost,
 * nothing runs where or when it must not, and everyone gets its share. */
#include "tests/unit/sched_machine.h"

#include <setjmp.h>
#include <cmocka.h>

#include "kernel/vm/sched.c"
#include "kernel/vm/sched_requests.c"
#include "kernel/vm/sched_share.c"
#include "kernel/vm/sched_sleep.c"
#include "kernel/vm/interrupts.c"
#include "kernel/vm/inspect.c"
/* libc's snprintf is checked for numbers of vCPUs that no VM has. */
#pragma GCC diagnostic ignored "-Wformat-truncation"
#include "kernel/vm/vm.c"
#include "kernel/vm/vm_index.c"

#define VMS_MAX         256
#define GUEST_VCPUS     4
#define TICKS_PER_US    10
#define VECTOR          0x40
#define MSR_EOI         0x80b
#define MSR_SPURIOUS    0x80f
#define MSR_LVT_TIMER   0x832
#define MSR_TIMER_COUNT 0x838

/* What a guest's vCPU does. */
enum kind {
    HOG,     /* computes */
    STORMER, /* exits all the time */
    YIELDER, /* yields all the time */
    NAPPER,  /* sleeps for a tick, all the time */
    SLEEPER, /* sleeps for a while, and looks at the time when it wakes */
    ALARM,   /* the same by its APIC's timer and HLT */
    WAITER,  /* HLT until someone interrupts it */
    RINGER,  /* interrupts the vCPU behind it, all the time */
    SHORT,   /* ends its VM after a while */
    TOKEN,   /* passes an interrupt on to any vCPU of its VM, then HLT */
    BOSS,    /* INITs, starts, interrupts its peers; ends with all of them dead */
    WORKER,  /* of a boss: anything */
    ROVER,   /* changes the core, and has its core started anew */
};

enum act {
    ACT_NONE,
    ACT_HALT,
    ACT_DIE,
    ACT_SLEEP,
    ACT_YIELD,
    ACT_STOP,
    ACT_ALARM,
    ACT_PASS,
    ACT_RING,
    ACT_INIT,
    ACT_START,
    ACT_NMI,
    ACT_LEAVE,
    ACT_RESTART_CORE
};

/* A vCPU as its guest's program sees it. */
struct guest {
    enum act act;      /* of its next exit */
    uint64_t left;     /* ticks until then */
    uint64_t length;   /* of a sleep */
    uint64_t wakes_at; /* the sleep that is to be looked at; 0: none */
    bool alarm;        /* it is by the APIC's timer */
    uint32_t peer;     /* of what is sent */
    uint32_t steps;    /* acts so far */
    uint32_t inbox;    /* interrupts that its program has not seen */
    bool started, off, in_service, status_written;
    uint64_t ran;         /* ticks in the guest */
    uint64_t waited_from; /* the end of its last stay */
    uint64_t waited_most;
    uint64_t runnable_since, pending_since, requested_since; /* as the watch sees it; 0: not */
};

struct record {
    struct vm *vm;
    enum kind kinds[GUEST_VCPUS];
    struct guest guests[GUEST_VCPUS];
    uint32_t hops;   /* that tokens may still make */
    uint64_t hopped; /* when the last one came */
    bool immortal;   /* must not be found dead */
    bool mortal;     /* may be, when its program has come to its end */
    bool typed;      /* what is typed at its console interrupts it */
    uint64_t paused_since, stopped_since, undisturbed_since;
    uint64_t reset_at[GUEST_VCPUS]; /* an INIT was sent behind the last start; 0: not */
};

static struct record records[VMS_MAX];
static uint32_t record_count;
static uint64_t exit_cost, bind_cost;
static uint64_t run_bound;   /* a runnable vCPU is on a core within this */
static uint64_t take_bound;  /* what was posted is taken within this */
static uint64_t share_bound; /* an idle core has taken work within this */
static bool virtual_apic, preemption_timer;
static int pages;

static struct cpu cpu_records[MACHINE_CORES];
struct cpu *cpus[CPUS_MAX];

static struct record *record_of(const struct vcpu *vcpu)
{
    return &records[vcpu->vm->id];
}

static struct guest *guest_of(const struct vcpu *vcpu)
{
    return &record_of(vcpu)->guests[vcpu->index];
}

/* ---- What lies beside ------------------------------------------------------------------------ */

_Noreturn void panic(const char *format, ...)
{
    va_list args;
    char text[200];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    machine_fail("panic: %s", text);
    abort(); /* outside the machine */
}

/* Nothing is traced here. */
uint32_t exits_watched;

void trace_entry(const struct vcpu *vcpu, uint64_t tsc)
{
    (void)vcpu, (void)tsc;
}

void trace_exit(const struct vcpu *vcpu, const struct vm_exit *exit, uint64_t tsc, uint64_t cost)
{
    (void)vcpu, (void)exit, (void)tsc, (void)cost;
}

void trace_inject(const struct vcpu *vcpu, uint32_t information)
{
    (void)vcpu, (void)information;
}

void trace_run(const struct vcpu *vcpu)
{
    (void)vcpu;
}

void trace_pause(const struct vcpu *vcpu)
{
    (void)vcpu;
}

void trace_wake(const struct vcpu *vcpu)
{
    (void)vcpu;
}

void trace_sleep(const struct vcpu *vcpu)
{
    (void)vcpu;
}

void trace_migrate(const struct vcpu *vcpu, uint32_t to)
{
    (void)vcpu, (void)to;
}

void trace_stop(const struct vcpu *vcpu, uint32_t reason)
{
    (void)vcpu, (void)reason;
}

static bool verbose;

void log_line(const char *subject, const char *format, ...)
{
    va_list args;
    step();
    if (!verbose)
        return;
    va_start(args, format);
    fprintf(stderr, "%llu cpu%u %s: ", (unsigned long long)time_now(), machine.running, subject);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

void log_block_begin(void)
{
}

void log_block_end(void)
{
}

bool log_drain(void)
{
    return !one_in(4);
}

void signals_serve(void)
{
    step();
}

void console_reset(struct vm *vm)
{
    (void)vm;
}

void console_flush(struct vm *vm)
{
    (void)vm;
}

void frame_audit_sometimes(void)
{
}

uint64_t links_tables(const struct vm_config *config)
{
    (void)config;
    return 0;
}

/* A new life of the VM begins. */
int links_enter(struct vm *vm)
{
    struct record *record = &records[vm->id];
    memset(record->guests, 0, sizeof record->guests);
    memset(record->reset_at, 0, sizeof record->reset_at);
    record->paused_since = record->stopped_since = 0;
    record->undisturbed_since = time_now();
    record->immortal = !record->mortal || record->kinds[0] == BOSS || record->hops;
    return 0;
}

void links_leave(struct vm *vm)
{
    (void)vm;
    step();
}

void links_give_up(struct vm *vm)
{
    (void)vm;
}

bool links_can_wake(const struct vm *vm)
{
    return vm->config.link_count > 0;
}

bool console_can_wake(const struct vm *vm)
{
    return records[vm->id].typed;
}

/* No guest here has devices or an image. */
int devices_create(struct vm *vm, const struct device_config *configs,
                   char error[MODULE_LINE_ERROR_MAX])
{
    (void)vm;
    (void)configs;
    (void)error;
    return 0;
}

int devices_start(struct vm *vm)
{
    (void)vm;
    return 0;
}

void devices_open(struct vm *vm)
{
    (void)vm;
}

void devices_stop(struct vm *vm)
{
    (void)vm;
}

void devices_give_up(struct vm *vm)
{
    (void)vm;
}

void devices_free(struct vm *vm)
{
    (void)vm;
}

bool devices_can_wake(const struct vm *vm)
{
    (void)vm;
    return false;
}

bool hvt_image_is(const void *file, size_t size)
{
    (void)file;
    (void)size;
    return false;
}

int hvt_load(struct vm *vm, uint64_t extra, gpa_t *entry, char error[VMX_ERROR_MAX])
{
    (void)vm;
    (void)extra;
    (void)entry;
    (void)error;
    return -EINVAL;
}

void hvt_start(struct vcpu *vcpu, uint64_t entry)
{
    (void)vcpu;
    (void)entry;
}

bool hvt_ready(const struct vm *vm)
{
    (void)vm;
    return false;
}

void hvt_poll_done(struct vcpu *vcpu)
{
    (void)vcpu;
}

int module_line_parse(const char *string, struct module_line *given,
                      char error[MODULE_LINE_ERROR_MAX])
{
    (void)string;
    (void)given;
    (void)error;
    return -EINVAL;
}

int guest_load(struct guest_memory *memory, const struct vm_config *config, const void *file,
               size_t size, uint64_t extra, gpa_t *entry, gpa_t *start_info,
               char error[LOADER_ERROR_MAX])
{
    (void)config;
    (void)file;
    (void)size;
    (void)extra;
    (void)error;
    memory->size = MIB;
    *entry = *start_info = GPA(0);
    return 0;
}

void guest_memory_destroy(struct guest_memory *memory)
{
    memory->size = 0;
}

uint64_t guest_memory_overhead(struct guest_memory *memory)
{
    (void)memory;
    return 0;
}

int guest_read(const struct guest_memory *memory, gpa_t guest, void *to, uint64_t length)
{
    (void)memory;
    (void)guest;
    (void)to;
    (void)length;
    return -EFAULT;
}

void *page_alloc(void)
{
    return NULL;
}

/* Freed for real, so that the address sanitizer sees whoever comes too late. */
void *frame_pool_page(struct frame_pool *pool)
{
    (void)pool;
    pages++;
    void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    return memset(page, 0, PAGE_SIZE);
}

void frame_pool_free_page(struct frame_pool *pool, void *page)
{
    (void)pool;
    pages--;
    free(page);
}

int frame_alloc(unsigned order, hpa_t *frame)
{
    *frame = virt_to_phys(aligned_alloc(PAGE_SIZE, PAGE_SIZE << order));
    return 0;
}

int frame_free(hpa_t frame, unsigned order)
{
    (void)order;
    free(phys_to_virt(frame));
    return 0;
}

uint64_t time_ticks_to_ns(uint64_t ticks)
{
    return ticks * 1000 / TICKS_PER_US;
}

uint64_t time_us_to_ticks(uint64_t microseconds)
{
    return microseconds * TICKS_PER_US;
}

uint32_t time_tsc_per_crystal(void)
{
    return 1;
}

void apic_send(uint32_t target, uint8_t vector)
{
    CHECK(vector == VECTOR_WAKE, "a vector that wakes no one");
    step();
    machine_interrupt(target);
}

void apic_timer_arm(uint64_t deadline)
{
    running_core()->timer = deadline;
}

void apic_timer_stop(void)
{
    struct machine_core *core = running_core();
    core->interrupt = core->interrupt || core->timer <= core->now; /* it stays pending */
    core->timer = NEVER;
}

/* ---- VMX: its contract, and the guests' stay ---------------------------------------------------
 */

static const struct vmx_features features = {.unrestricted_guest = true, .virtual_nmis = true};

const struct vmx_features *vmx_features_of_all(void)
{
    return &features;
}

bool vmx_apicv(void)
{
    return virtual_apic;
}

int vmx_vcpu_create(struct vmx_vcpu *v, struct ept *ept, struct frame_pool *pool, uint16_t vpid,
                    uint64_t tsc_offset, char error[VMX_ERROR_MAX])
{
    (void)error;
    v->ept = ept;
    v->vpid = vpid;
    v->tsc_offset = tsc_offset;
    v->vmcs.cpu = VMCS_NOT_LOADED;
    v->apic_page = frame_pool_page(pool);
    return 0;
}

static bool bound_anywhere(const struct vmx_vcpu *v)
{
    for (uint32_t i = 0; i < MACHINE_CORES; i++)
        if (machine.cores[i].bound == v)
            return true;
    return false;
}

void vmx_vcpu_destroy(struct vmx_vcpu *v)
{
    CHECK(!bound_anywhere(v), "a bound vCPU is destroyed");
    CHECK(v->vmcs.cpu == VMCS_NOT_LOADED, "a loaded VMCS is destroyed");
    frame_pool_free_page(NULL, v->apic_page);
}

static void load(struct vmx_vcpu *v)
{
    CHECK(v->vmcs.cpu == VMCS_NOT_LOADED || v->vmcs.cpu == cpu_index(),
          "a VMCS is loaded on core %u and %u", v->vmcs.cpu, cpu_index());
    v->vmcs.cpu = cpu_index();
}

void vmx_bind(struct vmx_vcpu *v)
{
    CHECK(!running_core()->bound, "a vCPU is bound over another one");
    CHECK(!bound_anywhere(v), "a vCPU is bound twice");
    load(v);
    running_core()->bound = v;
    spend(bind_cost);
}

void vmx_unbind(struct vmx_vcpu *v)
{
    CHECK(running_core()->bound == v, "a vCPU is unbound that is not bound here");
    running_core()->bound = NULL;
}

void vmx_unload(struct vmx_vcpu *v)
{
    CHECK(!bound_anywhere(v), "a bound vCPU is unloaded");
    CHECK(v->vmcs.cpu == VMCS_NOT_LOADED || v->vmcs.cpu == cpu_index(),
          "a VMCS stays loaded on core %u", v->vmcs.cpu);
    v->vmcs.cpu = VMCS_NOT_LOADED;
}

/* `complete` is the mark that this stub wrote it. */
void vmx_snapshot(struct vmx_vcpu *v, bool bound, struct vmx_snapshot *snapshot)
{
    struct vcpu *vcpu = (struct vcpu *)v;
    CHECK(vcpu->cpu == cpu_index(), "%s is looked at on a core that has it not", vcpu->name);
    CHECK(bound == (running_core()->bound == v), "%s is looked at as what it is not", vcpu->name);
    CHECK(vcpu->state != VCPU_STOPPED, "%s is looked at, stopped", vcpu->name);
    load(v);
    snapshot->complete = false;
    spend(bind_cost);
    snapshot->complete = true;
    CHECK(vcpu->cpu == cpu_index(), "%s moves while it is looked at", vcpu->name);
}

static void write_apic(struct vcpu *vcpu, uint32_t msr, uint64_t value, uint64_t now)
{
    struct vapic_ipi ipi;
    CHECK(vapic_write(&vcpu->apic, msr, value, now, &ipi) != VAPIC_GP, "a bad write to the APIC");
}

static void start_guest(struct vcpu *vcpu)
{
    load(&vcpu->vmx);
    CHECK(running_core()->bound != &vcpu->vmx, "registers of a start under a bound vCPU");
    *guest_of(vcpu) = (struct guest){.started = true, .left = 50};
    write_apic(vcpu, MSR_SPURIOUS, 0x1ff, 0);
    write_apic(vcpu, MSR_LVT_TIMER, VECTOR, 0);
}

void vmx_start_protected(struct vmx_vcpu *v, gpa_t entry, uint32_t ebx)
{
    (void)entry;
    (void)ebx;
    start_guest((struct vcpu *)v);
}

void vmx_start_real(struct vmx_vcpu *v, uint8_t page)
{
    (void)page;
    start_guest((struct vcpu *)v);
}

bool vmx_preemption_set(struct vmx_vcpu *v, uint64_t ticks)
{
    (void)v;
    step();
    if (!preemption_timer)
        return false;
    running_core()->stay = running_core()->now + ticks;
    return true;
}

bool vmx_interrupts_enabled(const struct vmx_vcpu *v)
{
    return !guest_of((const struct vcpu *)v)->off;
}

struct vmx_delivered vmx_deliver(struct vmx_vcpu *v, bool nmi, int vector)
{
    struct guest *guest = guest_of((struct vcpu *)v);
    bool takes = vector >= 0 && !guest->off;
    CHECK(running_core()->bound == v, "an interrupt for a vCPU that is not bound");
    guest->inbox += takes;
    guest->in_service = guest->in_service || takes;
    return (struct vmx_delivered){.nmi = nmi, .interrupt = takes};
}

void vmx_set_interrupt_status(struct vmx_vcpu *v, int requested, int in_service)
{
    (void)in_service;
    guest_of((struct vcpu *)v)->status_written = requested >= 0;
}

bool vmx_nmis_blocked(struct vmx_vcpu *v)
{
    (void)v;
    return false;
}

int vmx_exit_describe(char *text, size_t size, const struct vm_exit *exit,
                      const uint64_t gpr[VMX_REGISTERS])
{
    (void)exit;
    (void)gpr;
    return snprintf(text, size, "-");
}

const char *vmx_exit_name(uint32_t reason)
{
    (void)reason;
    return "-";
}

void vmx_dump_guest(const struct vmx_vcpu *v, const char *subject)
{
    (void)v;
    (void)subject;
}

void vmx_audit(const struct vmx_vcpu *v, const char *subject)
{
    (void)v;
    (void)subject;
}

int vmx_translate(const struct vmx_vcpu *v, uint64_t linear, gpa_t *guest)
{
    (void)v;
    (void)linear;
    (void)guest;
    return -EFAULT;
}

static void end_of_interrupt(struct vcpu *vcpu)
{
    write_apic(vcpu, MSR_EOI, 0, 0);
    guest_of(vcpu)->in_service = false;
    vcpu->vmx.attention = true;
}

/* With APIC virtualisation the processor delivers, and takes the EOI, without an exit. */
static void deliver_virtually(struct vcpu *vcpu)
{
    struct guest *guest = guest_of(vcpu);
    int vector;
    while (guest->status_written && !guest->off && (vector = vapic_deliverable(&vcpu->apic)) >= 0) {
        bool attention = vcpu->vmx.attention;
        vapic_accept(&vcpu->apic, (uint8_t)vector);
        guest->inbox++;
        end_of_interrupt(vcpu);
        vcpu->vmx.attention = attention;
    }
}

static void check_entry(const struct vcpu *vcpu)
{
    const struct record *record = record_of(vcpu);
    uint64_t now = time_now();
    CHECK(running_core()->bound == &vcpu->vmx, "%s runs unbound", vcpu->name);
    CHECK(vcpu->vmx.vmcs.cpu == cpu_index(), "%s runs and is not loaded", vcpu->name);
    CHECK(vcpu->cpu == cpu_index(), "%s runs on a core that has it not", vcpu->name);
    CHECK(vcpu->state == VCPU_RUNNING, "%s runs while %s", vcpu->name,
          vcpu_state_name(vcpu->state));
    CHECK(guest_of(vcpu)->started, "%s runs and was not started", vcpu->name);
    CHECK(vcpu_may_run_on(vcpu, cpu_index()), "%s is pinned elsewhere", vcpu->name);
    CHECK(!record->paused_since || !vcpu->vm->paused || now < record->paused_since + take_bound,
          "%s runs while paused", vcpu->name);
    CHECK(!record->reset_at[vcpu->index] || now < record->reset_at[vcpu->index] + take_bound,
          "%s runs, reset", vcpu->name);
    CHECK(!record->stopped_since || now < record->stopped_since + take_bound, "%s runs, stopped",
          vcpu->name);
}

static void note_wait(const struct record *record, struct guest *guest)
{
    uint64_t from = MAX(guest->waited_from, record->undisturbed_since);
    if (guest->waited_from && time_now() > from)
        guest->waited_most = MAX(guest->waited_most, time_now() - from);
}

/* One stay; returns the reason of its exit. */
static uint32_t stay(struct vcpu *vcpu)
{
    struct guest *guest = guest_of(vcpu);
    struct machine_core *core = running_core();
    step();
    check_entry(vcpu);
    note_wait(record_of(vcpu), guest);
    if (virtual_apic)
        deliver_virtually(vcpu);
    uint64_t start = core->now, own_exit = start + (guest->in_service ? 40 : guest->left);
    uint64_t timer = MIN(core->timer, preemption_timer ? core->stay : NEVER);
    if (MIN(own_exit, timer) > start)
        wait_until(MIN(own_exit, timer));
    check_entry(vcpu);
    guest->ran += core->now - start;
    guest->waited_from = core->now;
    uint32_t reason = guest->in_service ? EXIT_WRMSR : EXIT_VMCALL;
    if (core->interrupt || core->timer <= core->now)
        reason = EXIT_EXTERNAL_INTERRUPT;
    else if (core->now < own_exit)
        reason = EXIT_PREEMPTION_TIMER;
    if (core->timer <= core->now)
        core->timer = NEVER;
    core->interrupt = false;
    if (!guest->in_service)
        guest->left -= MIN(guest->left, core->now - start);
    spend(exit_cost);
    return reason;
}

/* What the assembly does: a stay after the other until on_exit does not resume. */
static bool resumes[MACHINE_CORES];
static uint32_t last_reason[MACHINE_CORES];

void vmx_resume(struct vmx_vcpu *v)
{
    CHECK(!v->before_entry, "%s goes on with something to do before", ((struct vcpu *)v)->name);
    resumes[cpu_index()] = true;
}

bool vmx_is_open(const struct vmx_vcpu *v)
{
    (void)v;
    return false;
}

void vmx_inject_interrupt(struct vmx_vcpu *v, uint8_t vector)
{
    (void)v;
    (void)vector;
}

void vmx_prepare(struct vmx_vcpu *v)
{
    v->inject = v->flush = false;
    v->event = 0;
}

int vmx_run(struct vmx_vcpu *v, char error[VMX_ERROR_MAX])
{
    (void)error;
    vmx_prepare(v);
    do {
        last_reason[cpu_index()] = stay((struct vcpu *)v);
        resumes[cpu_index()] = false;
        v->on_exit(v);
    } while (resumes[cpu_index()]);
    return 0;
}

/* ---- The guests' programs ----------------------------------------------------------------------
 */

static void plan(struct guest *guest, enum act act, uint64_t left)
{
    guest->act = act;
    guest->left = left;
}

static void plan_token(struct vcpu *vcpu, struct guest *guest)
{
    struct record *record = record_of(vcpu);
    uint32_t vcpus = vcpu->vm->config.vcpus;
    guest->peer = (uint32_t)pick_random(vcpus);
    if (record->hops == 0)
        guest->inbox = 0;
    if (vcpu->index == 0 && guest->steps < vcpus) {
        guest->peer = guest->steps;
        plan(guest, guest->steps ? ACT_START : ACT_NONE, 50);
    } else if (vcpu->index == 0 && guest->steps == vcpus) {
        plan(guest, ACT_PASS, 50);
    } else if (guest->inbox && record->hops) {
        if (--record->hops == 0)
            record->immortal = !record->mortal;
        record->hopped = time_now();
        guest->inbox--;
        plan(guest, ACT_PASS, 10 + pick_random(one_in(4) ? 600 : 20));
    } else {
        plan(guest, ACT_HALT, 1 + pick_random(50));
    }
}

#define BOSS_ROUNDS 60

static void plan_boss(struct vcpu *vcpu, struct guest *guest)
{
    static const enum act acts[] = {ACT_START, ACT_START, ACT_START, ACT_INIT,
                                    ACT_NMI,   ACT_RING,  ACT_YIELD, ACT_SLEEP};
    uint32_t vcpus = vcpu->vm->config.vcpus;
    guest->peer = 1 + (uint32_t)pick_random(vcpus - 1);
    guest->length = 1 + pick_random(3000);
    if (guest->steps < BOSS_ROUNDS) {
        plan(guest, acts[pick_random(ARRAY_SIZE(acts))], 1 + pick_random(3000));
    } else if (guest->steps < BOSS_ROUNDS + vcpus - 1) {
        guest->peer = guest->steps - BOSS_ROUNDS + 1;
        plan(guest, ACT_INIT, 10);
    } else {
        record_of(vcpu)->immortal = false;
        plan(guest, ACT_DIE, 10);
    }
}

static void plan_worker(struct guest *guest)
{
    static const enum act acts[] = {ACT_NONE, ACT_HALT, ACT_SLEEP, ACT_YIELD, ACT_ALARM, ACT_DIE};
    guest->length = 1 + pick_random(4000);
    guest->inbox = 0;
    plan(guest, acts[pick_random(ARRAY_SIZE(acts))], 1 + pick_random(one_in(8) ? 100000 : 500));
}

static void plan_next(struct vcpu *vcpu, struct guest *guest)
{
    switch (record_of(vcpu)->kinds[vcpu->index]) {
    case HOG:
        plan(guest, ACT_NONE, 1000000000);
        break;
    case STORMER:
        plan(guest, ACT_NONE, 10);
        break;
    case YIELDER:
        plan(guest, ACT_YIELD, 20);
        break;
    case NAPPER:
        guest->length = 1;
        plan(guest, ACT_SLEEP, 20);
        break;
    case SLEEPER:
    case ALARM:
        guest->inbox = 0;
        guest->length = 1 + pick_random(one_in(4) ? 60000 : 2000);
        plan(guest, record_of(vcpu)->kinds[vcpu->index] == ALARM ? ACT_ALARM : ACT_SLEEP,
             1 + pick_random(500));
        break;
    case WAITER:
        guest->inbox = 0;
        plan(guest, ACT_HALT, 1 + pick_random(100));
        break;
    case RINGER:
        guest->peer = vcpu->index + 1;
        plan(guest, guest->steps ? ACT_RING : ACT_START, 20);
        break;
    case SHORT:
        plan(guest, guest->steps < 3 ? ACT_NONE : ACT_STOP, pick_random(20000));
        break;
    case TOKEN:
        plan_token(vcpu, guest);
        break;
    case BOSS:
        plan_boss(vcpu, guest);
        break;
    case WORKER:
        plan_worker(guest);
        break;
    case ROVER:
        plan(guest, one_in(2) ? ACT_LEAVE : ACT_RESTART_CORE, pick_random(20000));
        break;
    }
    guest->steps++;
}

static void send(struct vcpu *vcpu, enum vapic_delivery delivery)
{
    const struct vapic_ipi ipi = {
        .delivery = delivery, .vector = VECTOR, .destination = guest_of(vcpu)->peer};
    interrupts_send(vcpu, &ipi);
}

static void set_alarm(struct vcpu *vcpu, uint64_t ticks)
{
    uint64_t now = rdtsc();
    guest_of(vcpu)->wakes_at = now + 2 * ticks; /* a count is two ticks */
    guest_of(vcpu)->alarm = true;
    write_apic(vcpu, MSR_TIMER_COUNT, ticks, now + vcpu->vmx.tsc_offset);
    sched_timer_changed(vcpu);
    sched_wait_interrupt(vcpu);
}

/* As ATOLL_CALL_START_VCPU, or by SIPI. */
static void start_peer(struct vcpu *vcpu)
{
    struct vcpu *peer = vcpu->vm->vcpus[guest_of(vcpu)->peer];
    bool sipi = one_in(2);
    if (!sipi && peer->state != VCPU_CREATED)
        return;
    record_of(vcpu)->reset_at[peer->index] = 0;
    if (sipi) {
        send(vcpu, VAPIC_SIPI);
        return;
    }
    atomic_store_explicit(&peer->start_at, 0, memory_order_relaxed);
    sched_post(peer, REQUEST_START);
}

static void act(struct vcpu *vcpu, struct guest *guest)
{
    bool halts = guest->act == ACT_HALT || guest->act == ACT_ALARM;
    if (halts && guest->inbox)
        return; /* STI; HLT: the interrupt came first */
    switch (guest->act) {
    case ACT_NONE:
        break;
    case ACT_HALT:
        sched_wait_interrupt(vcpu);
        break;
    case ACT_DIE:
        guest->off = true;
        sched_wait_interrupt(vcpu);
        break;
    case ACT_SLEEP:
        guest->wakes_at = rdtsc() + guest->length;
        guest->alarm = false;
        vcpu->vmx.gpr[VMX_RAX] = 0;
        sched_wait_until(vcpu, guest->wakes_at);
        break;
    case ACT_ALARM:
        set_alarm(vcpu, guest->length);
        break;
    case ACT_YIELD:
        vcpu->yielded = true;
        break;
    case ACT_STOP:
        vm_stop(vcpu, STOP_GUEST_EXIT, NULL, "-");
        break;
    case ACT_PASS:
    case ACT_RING:
        send(vcpu, VAPIC_FIXED);
        break;
    case ACT_INIT:
        send(vcpu, VAPIC_INIT);
        record_of(vcpu)->reset_at[guest->peer] = time_now();
        break;
    case ACT_NMI:
        send(vcpu, VAPIC_NMI);
        break;
    case ACT_START:
        start_peer(vcpu);
        break;
    case ACT_LEAVE:
        vcpu->yielded = !sched_leave_core(vcpu);
        break;
    case ACT_RESTART_CORE:
        vcpu->yielded = vcpu->restart_core = true;
        break;
    }
}

/* A sleep or an alarm is neither early nor, for one that nobody paused, late. */
static void check_waking(const struct vcpu *vcpu, struct guest *guest)
{
    uint64_t now = time_now(), due = guest->wakes_at;
    bool interrupted = vcpu->vmx.gpr[VMX_RAX] == (uint64_t)-EINTR || guest->alarm;
    guest->wakes_at = 0;
    CHECK(interrupted || now >= due, "%s wakes early", vcpu->name);
    due = MAX(due, record_of(vcpu)->undisturbed_since);
    CHECK(now < due + run_bound + take_bound, "%s wakes %llu late", vcpu->name,
          (unsigned long long)(now - due));
}

/* Like the real one: in again at once where nothing is to be looked at. */
static void go_on(struct vcpu *vcpu, bool may_be_short)
{
    if (may_be_short && (int32_t)((uint32_t)rdtsc() - vcpu->stop_tsc) < 0 &&
        !vcpu->vmx.before_entry && !atomic_load(vcpu->mail_for_core))
        vmx_resume(&vcpu->vmx);
    else
        sched_go_on(vcpu);
}

static void handle(struct vmx_vcpu *v)
{
    struct vcpu *vcpu = (struct vcpu *)v;
    struct guest *guest = guest_of(vcpu);
    uint32_t reason = last_reason[cpu_index()];
    vcpu->interrupted = reason == EXIT_EXTERNAL_INTERRUPT;
    if (reason == EXIT_WRMSR)
        end_of_interrupt(vcpu);
    bool simple = reason == EXIT_WRMSR || (reason == EXIT_VMCALL && guest->act == ACT_NONE);
    if (reason == EXIT_VMCALL) {
        if (guest->wakes_at)
            check_waking(vcpu, guest);
        act(vcpu, guest);
        plan_next(vcpu, guest);
    }
    go_on(vcpu, simple);
}

void exit_choose(struct vcpu *vcpu)
{
    vcpu->vmx.on_exit = handle;
}

void vmx_exit_read(struct vmx_vcpu *v, struct vm_exit *exit)
{
    (void)v;
    *exit = (struct vm_exit){0};
}

/* ---- The watch: what must hold at any time ----------------------------------------------------
 */

/* For how long has `condition` held? `since` remembers. */
static uint64_t held_for(uint64_t *since, bool condition)
{
    if (!condition)
        *since = 0;
    else if (*since == 0)
        *since = machine.now;
    return *since ? machine.now - *since : 0;
}

static void watch_vcpu(struct record *record, struct vcpu *vcpu)
{
    struct guest *guest = &record->guests[vcpu->index];
    bool sleeps = vcpu->state == VCPU_SLEEPING && vcpu->wait != WAIT_BUDGET && !guest->off;
    bool pending = vcpu->apic.posted[VECTOR / 64] || vapic_deliverable(&vcpu->apic) >= 0;
    bool due =
        vcpu->state == VCPU_SLEEPING && vcpu->wait == WAIT_TIME && vcpu->wake_tsc <= machine.now;
    CHECK(held_for(&guest->pending_since, (sleeps && pending) || due) < take_bound,
          "%s sleeps, though it is woken", vcpu->name);
    CHECK(held_for(&guest->requested_since, vcpu->requests != 0) < take_bound,
          "what was asked of %s is not taken", vcpu->name);
    CHECK(held_for(&guest->runnable_since, vcpu->state == VCPU_RUNNABLE) < run_bound,
          "%s waits for a core too long", vcpu->name);
}

static void watch_vm(struct record *record)
{
    struct vm *vm = record->vm;
    bool lives = vm->state == VM_ALIVE && !vm->lock.held;
    bool paused = lives && vm->paused;
    CHECK(held_for(&record->stopped_since, lives && vm->stop_reason) < take_bound,
          "%s is stopped and does not end", vm->config.name);
    CHECK(!lives || !record->immortal || vm->stop_reason != STOP_HALTED_FOREVER, "%s was not dead",
          vm->config.name);
    (void)held_for(&record->paused_since, paused);
    if (!lives || paused)
        record->undisturbed_since = machine.now;
    for (uint32_t i = 0; lives && i < vm->config.vcpus; i++)
        watch_vcpu(record, vm->vcpus[i]);
    if (record->kinds[0] == TOKEN && record->immortal && !vm->stop_reason)
        CHECK(machine.now < MAX(record->hopped, record->undisturbed_since) + 2 * run_bound,
              "%s has lost its token", vm->config.name);
}

static uint64_t halted_since[MACHINE_CORES], unshared_since;

static void watch_core(uint32_t index)
{
    const struct machine_core *core = &machine.cores[index];
    const struct core *sched = &sched_cores[index];
    bool halts = core->exists && !core->finished && core->waits && !sched->current;
    bool has_work =
        sched->has_mail || sched->queue->count || timers_next(&sched->timers) < machine.now;
    CHECK(held_for(&halted_since[index], halts && has_work) < take_bound,
          "core %u halts and has work", index);
    CHECK(!core->finished || vms_alive() == 0, "core %u leaves too early", index);
}

/* A core that halts, another one that has a vCPU waiting which may run anywhere: the busy one gives
 * it away when it is asked, at the latest behind its slice. */
static void watch_sharing(void)
{
    bool idle_one = false, waits = false;
    for (uint32_t i = 0; i < sched_member_count; i++) {
        const struct core *sched = &sched_cores[i];
        struct vcpu *first = vcpu_of_entry(run_queue_first(sched->queue));
        idle_one = idle_one || (machine.cores[i].waits && !sched->current && !sched->has_mail);
        waits = waits || (sched->current && first && !first->vm->config.pinned);
    }
    CHECK(held_for(&unshared_since, idle_one && waits) < share_bound, "a core idles beside work");
}

static void watch(void)
{
    watch_sharing();
    for (uint32_t i = 0; i < sched_member_count; i++)
        watch_core(i);
    for (uint32_t i = 0; i < record_count; i++)
        watch_vm(&records[i]);
}

/* ---- A run -------------------------------------------------------------------------------------
 */

static void body_of_core(void)
{
    while (sched_run() == SCHED_RESTART)
        step();
    CHECK(vms_alive() == 0, "a core leaves too early");
}

static void reset_scheduler(void)
{
    for (uint32_t i = 0; i < CPUS_MAX; i++)
        if (sched_cores[i].queue)
            free(sched_cores[i].queue);
    memset(sched_cores, 0, sizeof sched_cores);
    memset(idle_cores, 0, sizeof idle_cores);
    shuffle = false;
    STAILQ_INIT(&vms);
    alive = 0;
    vpids_used = 0;
}

static void begin_run(uint64_t seed, uint32_t cores, uint64_t slice, uint32_t delays)
{
    static const uint32_t members[MACHINE_CORES] = {0, 1, 2, 3};
    reset_scheduler();
    machine_init(seed, delays);
    for (uint32_t i = 0; i < record_count; i++)
        free(records[i].vm);
    memset(records, 0, sizeof records);
    memset(halted_since, 0, sizeof halted_since);
    record_count = 0;
    pages = 0;
    exit_cost = 150;
    bind_cost = 800;
    virtual_apic = false;
    preemption_timer = true;
    run_bound = take_bound = share_bound = NEVER / 4;
    unshared_since = 0;
    result_lock.held = false;
    inspect_cancel();
    for (uint32_t i = 0; i < MACHINE_CORES; i++) {
        cpu_records[i] = (struct cpu){.index = i, .apic_id = i};
        cpus[i] = &cpu_records[i];
    }
    assert_int_equal(sched_init(members, cores, slice), 0);
}

static struct record *add_vm(enum kind kind, uint32_t vcpus, uint32_t weight)
{
    struct record *record = &records[record_count];
    record->vm = calloc(1, sizeof *record->vm);
    record->vm->id = record_count++;
    record->vm->state = VM_STOPPED;
    record->vm->config.vcpus = vcpus;
    record->vm->config.weight = weight;
    snprintf(record->vm->config.name, VM_NAME_MAX, "vm%u-%u", record->vm->id, kind);
    for (uint32_t i = 0; i < vcpus; i++)
        record->kinds[i] = kind;
    STAILQ_INSERT_TAIL(&vms, record->vm, link);
    return record;
}

static void start_all(void)
{
    for (uint32_t i = 0; i < record_count; i++)
        assert_int_equal(vm_start(records[i].vm), 0);
    for (uint32_t i = 0; i < sched_member_count; i++)
        machine_add(i, body_of_core);
}

static void end_all(void)
{
    for (uint32_t i = 0; i < record_count; i++)
        while (vm_end(records[i].vm) == -EAGAIN && running_core())
            step(); /* another core has its lock, to start it again, say */
}

static void assert_no_failure(uint64_t seed)
{
    if (machine.failed)
        fail_msg("seed %llu: %s", (unsigned long long)seed, machine.failure);
}

/* All cores leave, and nothing is left behind. */
static void finish_run(uint64_t seed, uint64_t within)
{
    assert_no_failure(seed);
    if (machine_run(machine.now + within, 1000, watch) && !machine.failed)
        fail_msg("seed %llu: the cores do not finish", (unsigned long long)seed);
    assert_no_failure(seed);
    assert_int_equal(pages, 0);
    for (uint32_t i = 0; i < sched_member_count; i++) {
        assert_int_equal(sched_cores[i].adopted, 0);
        assert_int_equal(sched_cores[i].queue->count, 0);
        assert_null(machine.cores[i].bound);
    }
    for (uint32_t i = 0; i < ARRAY_SIZE(idle_cores); i++)
        assert_int_equal(idle_cores[i], 0);
}

/* ---- Everything at once ------------------------------------------------------------------------
 */

#define CHAOS_SLICE 20000
#ifndef CHAOS_TICKS
#define CHAOS_TICKS 1500000
#endif
#define CHAOS_VMS   9
#define CHAOS_RUNS  100

static uint64_t chaos_end, seed_first, seed_count = CHAOS_RUNS;

/* What the operator and the guests' peers do meanwhile, on a core of its own. */
static void disturb(struct record *record)
{
    struct vm *vm = record->vm;
    switch (pick_random(12)) {
    case 0:
        (void)vm_pause(vm);
        return;
    case 1:
    case 2:
    case 3:
        record->paused_since = 0;
        (void)vm_resume(vm);
        return;
    case 4:
        if (vm->id != 0) /* else the machine might be done before its time */
            (void)vm_end(vm);
        return;
    case 5:
    case 6:
        (void)vm_start(vm);
        return;
    default:
        spin_lock(&vm->lock);
        if (vm->state == VM_ALIVE && (vm->config.link_count || record->typed))
            interrupts_post(vm->vcpus[pick_random(vm->config.vcpus)], VECTOR);
        spin_unlock(&vm->lock);
        return;
    }
}

static uint64_t inspections, inspections_ended;

/* The vCPU that the operator looks at. Its VM may go meanwhile: here nobody holds it. */
static struct {
    struct vm *vm; /* NULL: none */
    uint32_t life;
    char name[VM_NAME_MAX + 4];
    uint64_t since;
} inspected;

static void look_at_answer(void)
{
    struct vm *vm = inspected.vm;
    const struct inspection *result = inspect_result();
    spin_lock(&vm->lock); /* while it starts again it is neither the one nor the other */
    bool same_life = vm->state == VM_ALIVE && !vm->stop_reason && vm->starts == inspected.life;
    spin_unlock(&vm->lock);
    inspections++;
    inspections_ended += !result;
    CHECK(result || !same_life, "%s lives, and is not looked at", inspected.name);
    CHECK(!result || (result->vmx.complete && !strcmp(result->name, inspected.name)),
          "the answer is not about %s", inspected.name);
}

static void inspect_one(struct vm *vm)
{
    spin_lock(&vm->lock);
    if (vm->state == VM_ALIVE) {
        struct vcpu *vcpu = vm->vcpus[pick_random(vm->config.vcpus)];
        inspected.vm = vm;
        inspected.life = vm->starts;
        inspected.since = time_now();
        strcpy(inspected.name, vcpu->name);
        CHECK(inspect_start(vcpu) == 0, "nothing can be looked at any more");
        CHECK(inspect_start(vcpu) == -EBUSY, "two can be looked at");
    }
    spin_unlock(&vm->lock);
}

/* A step of the inspection that is under way, or a new one. Some are not waited for. */
static void inspect_some(void)
{
    if (!inspected.vm) {
        inspect_one(records[pick_random(record_count)].vm);
        return;
    }
    CHECK(inspect_done() || time_now() < inspected.since + take_bound, "no answer about %s",
          inspected.name);
    if (inspect_done())
        look_at_answer();
    else if (!one_in(4))
        return;
    inspect_cancel();
    inspected.vm = NULL;
}

static void body_of_operator(void)
{
    while (time_now() < chaos_end) {
        wait_until(time_now() + pick_random(6000));
        disturb(&records[pick_random(record_count)]);
        inspect_some();
    }
    end_all();
}

static void add_random_vm(void)
{
    static const uint32_t weights[] = {50, 100, 200};
    static const enum kind kinds[] = {HOG,   STORMER, YIELDER, NAPPER, SLEEPER, ALARM, WAITER,
                                      SHORT, TOKEN,   TOKEN,   TOKEN,  BOSS,    BOSS,  ROVER};
    enum kind kind = kinds[pick_random(ARRAY_SIZE(kinds))];
    bool many = kind == TOKEN || kind == BOSS;
    struct record *record = add_vm(kind, many ? 2 + (uint32_t)pick_random(GUEST_VCPUS - 1) : 1,
                                   weights[pick_random(3)]);
    struct vm_config *config = &record->vm->config;
    for (uint32_t i = 1; kind == BOSS && i < config->vcpus; i++)
        record->kinds[i] = WORKER;
    if (kind == TOKEN)
        record->hops = UINT32_MAX;
    record->typed = kind == WAITER && record->vm->id % 2;
    if (!record->typed && (kind == WAITER || kind == HOG || kind == NAPPER))
        config->link_count = 1;
    config->restart = kind == SHORT || one_in(3) ? RESTART_ALWAYS : RESTART_NEVER;
    config->restart_backoff_ms = (uint32_t)pick_random(3);
    config->pinned = one_in(4);
    config->cpus[0] = BIT(pick_random(sched_member_count)) | BIT(pick_random(sched_member_count));
    config->cap = one_in(6) ? 20 : 0;
}

/* The wait that run_queue.h allows, with all that there is on one core. */
static uint64_t bounded_wait(uint64_t slice)
{
    uint64_t bound = 0;
    for (uint32_t i = 0; i < record_count; i++) {
        const struct vm_config *config = &records[i].vm->config;
        uint64_t ahead = slice * WEIGHT_DEFAULT / config->weight + slice + slice / 8;
        bound += config->vcpus * (ahead * config->weight / WEIGHT_DEFAULT + slice);
    }
    return bound;
}

static void run_chaos(uint64_t seed)
{
    static const uint32_t delays[] = {0, 100, 20};
    begin_run(seed, 1 + (uint32_t)(seed % MACHINE_CORES), CHAOS_SLICE, delays[seed / 4 % 3]);
    virtual_apic = one_in(3);
    preemption_timer = !one_in(4);
    add_vm(HOG, 1, 100);
    while (record_count < CHAOS_VMS)
        add_random_vm();
    run_bound = bounded_wait(CHAOS_SLICE) + 2 * CAP_SLICES * CHAOS_SLICE;
    take_bound = share_bound = 3 * CHAOS_SLICE;
    chaos_end = machine.now + CHAOS_TICKS;
    inspected.vm = NULL;
    if (one_in(4))
        sched_shuffle();
    start_all();
    machine_add(MACHINE_OPERATOR, body_of_operator);
    (void)machine_run(chaos_end, 1000, watch);
    finish_run(seed, 20 * take_bound);
}

static void test_random_interleavings(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seed_count; i++)
        run_chaos(seed_first + i);
    if (seed_count == CHAOS_RUNS)
        assert_true(inspections_ended > 10 && inspections > 10 * inspections_ended);
}

/* ---- VMs whose vCPUs all sleep for good --------------------------------------------------------
 */

#define DEATH_RUNS 300

/* The watch sees a VM that is declared dead too early; here all must end, and by that reason. */
static void run_deaths(uint64_t seed)
{
    begin_run(seed, 1 + (uint32_t)(seed % MACHINE_CORES), CHAOS_SLICE, seed & 4 ? 20 : 0);
    for (int i = 0; i < 4; i++) {
        struct record *record = add_vm(one_in(3) ? BOSS : TOKEN, 2 + (uint32_t)pick_random(3), 100);
        for (uint32_t k = 1; record->kinds[0] == BOSS && k < record->vm->config.vcpus; k++)
            record->kinds[k] = WORKER;
        record->hops = (uint32_t)pick_random(30);
        record->mortal = true;
    }
    add_vm(WAITER, 1, 100)->mortal = true;
    run_bound = bounded_wait(CHAOS_SLICE);
    take_bound = share_bound = 3 * CHAOS_SLICE;
    start_all();
    (void)machine_run(machine.now + 100 * CHAOS_SLICE, 1000, watch);
    finish_run(seed, 200 * CHAOS_SLICE);
    for (uint32_t i = 0; i < record_count; i++)
        assert_int_equal(records[i].vm->last_reason, STOP_HALTED_FOREVER);
}

static void test_sleep_for_good(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < DEATH_RUNS; seed++)
        run_deaths(seed);
}

/* ---- VMs that are looked at while their last vCPU goes to sleep --------------------------------
 */

#define LOOK_RUNS  40
#define LOOK_TICKS 1000000

static void body_of_looker(void)
{
    while (time_now() < chaos_end) {
        wait_until(time_now() + pick_random(300));
        inspect_some();
    }
    end_all();
}

/* What is asked of a vCPU and what its peers send it meet in one mailbox: a VM whose token is on
 * its way so must not be found dead. */
static void run_looks(uint64_t seed)
{
    begin_run(seed, 2 + (uint32_t)(seed % 3), CHAOS_SLICE, 10);
    for (int i = 0; i < 3; i++)
        add_vm(TOKEN, 2, 100)->hops = UINT32_MAX;
    run_bound = bounded_wait(CHAOS_SLICE);
    take_bound = share_bound = 3 * CHAOS_SLICE;
    chaos_end = machine.now + LOOK_TICKS;
    inspected.vm = NULL;
    start_all();
    machine_add(MACHINE_OPERATOR, body_of_looker);
    (void)machine_run(chaos_end, 1000, watch);
    finish_run(seed, 20 * take_bound);
}

static void test_looks_keep_alive(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < LOOK_RUNS; seed++)
        run_looks(seed);
}

/* ---- Shares ------------------------------------------------------------------------------------
 */

#define SLICE       100000
#define WARM_UP     (20 * SLICE)
#define SHARE_TICKS 50000000

static uint64_t ran_before[VMS_MAX][GUEST_VCPUS];

static void look_at_nothing(void)
{
}

/* Starts all; from the end of the warm-up on, ticks_of counts what each has run in SHARE_TICKS. */
static void measure(uint64_t seed, uint64_t ticks, void (*look)(void))
{
    start_all();
    (void)machine_run(machine.now + WARM_UP, 1000, look);
    for (uint32_t i = 0; i < record_count; i++)
        for (uint32_t k = 0; k < GUEST_VCPUS; k++)
            ran_before[i][k] = records[i].guests[k].ran;
    (void)machine_run(machine.now + ticks, 1000, look);
    assert_no_failure(seed);
}

static uint64_t ticks_of(uint32_t index)
{
    return records[index].guests[0].ran - ran_before[index][0];
}

/* What each is due of `total` ticks on all cores: by weight, but no more than a core. */
static void water_fill(uint64_t total, uint32_t cores, uint64_t due[])
{
    uint64_t core = total / cores, left = total, weights = 0;
    bool full[VMS_MAX] = {false}, again = true;
    for (uint32_t i = 0; i < record_count; i++)
        weights += records[i].vm->config.weight;
    while (again) {
        again = false;
        for (uint32_t i = 0; i < record_count; i++) {
            uint64_t weight = records[i].vm->config.weight;
            if (full[i])
                continue;
            due[i] = left * weight / weights;
            if (due[i] < core)
                continue;
            due[i] = core;
            full[i] = again = true;
            left -= core;
            weights -= weight;
            break;
        }
    }
}

struct share_case {
    uint32_t count, cores;
    uint32_t weights[4]; /* in turn */
};

static void check_shares(const struct share_case *c, uint64_t seed)
{
    uint64_t due[VMS_MAX], total = 0;
    begin_run(seed, c->cores, SLICE, 0);
    bind_cost = exit_cost = 0;
    for (uint32_t i = 0; i < c->count; i++)
        add_vm(HOG, 1, c->weights[i % ARRAY_SIZE(c->weights)]);
    uint64_t slice = MAX(SLICE * FULL_SLICES / MAX(c->count / c->cores, FULL_SLICES), SLICE / 16);
    measure(seed, SHARE_TICKS, look_at_nothing);
    for (uint32_t i = 0; i < c->count; i++)
        total += ticks_of(i);
    assert_true(total > (uint64_t)SHARE_TICKS * MIN(c->cores, c->count) * 95 / 100);
    water_fill(total * c->cores / MIN(c->cores, c->count), c->cores, due);
    for (uint32_t i = 0; i < c->count; i++) {
        uint64_t has = ticks_of(i), off = MAX(has, due[i]) - MIN(has, due[i]);
        if (off > due[i] * 3 / 100 + slice)
            fail_msg("%u on %u cores: %u with weight %u has %llu of %llu", c->count, c->cores, i,
                     records[i].vm->config.weight, (unsigned long long)has,
                     (unsigned long long)due[i]);
    }
    end_all();
    finish_run(seed, 100 * SLICE);
}

static void test_shares(void **state)
{
    static const struct share_case cases[] = {
        {3, 1, {100, 100, 100, 100}},  {3, 2, {100, 100, 100, 100}},
        {3, 4, {100, 100, 100, 100}},  {3, 1, {100, 200, 400, 100}},
        {3, 2, {100, 100, 1000, 100}}, {5, 4, {100, 100, 100, 100}},
        {30, 1, {50, 100, 200, 100}},  {30, 2, {50, 100, 200, 100}},
        {30, 4, {50, 100, 200, 100}},  {30, 4, {100, 100, 100, 1000}},
        {200, 1, {100, 200, 100, 50}}, {200, 2, {100, 200, 100, 50}},
        {200, 4, {100, 200, 100, 50}},
    };
    (void)state;
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_shares(&cases[i], i);
}

static void test_caps(void **state)
{
    (void)state;
    for (uint32_t cores = 1; cores <= 2; cores++) {
        static const uint32_t caps[] = {10, 25, 0};
        begin_run(cores, cores, SLICE, 0);
        for (uint32_t i = 0; i < ARRAY_SIZE(caps); i++)
            add_vm(HOG, 1, 100)->vm->config.cap = caps[i];
        measure(cores, SHARE_TICKS, look_at_nothing);
        for (uint32_t i = 0; caps[i]; i++) {
            uint64_t due = (uint64_t)SHARE_TICKS / 100 * caps[i];
            assert_in_range(ticks_of(i), due * 95 / 100, due * 105 / 100);
        }
        /* On two cores it meets one of the others where both are awake at a time. */
        assert_in_range(ticks_of(2), (uint64_t)SHARE_TICKS / 100 * (cores == 1 ? 60 : 85), NEVER);
        end_all();
        finish_run(cores, 100 * SLICE);
    }
}

/* One core's vCPUs end; the other one's come over within a slice: the watch has the bound. */
static void test_idle_core_takes_work(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        begin_run(seed, 2 + (uint32_t)(seed % 3), SLICE, 0);
        take_bound = 5000;
        share_bound = SLICE / 8;
        for (uint32_t i = 0; i < 4 * sched_member_count; i++)
            add_vm(HOG, 1, 100);
        measure(seed, 5 * SLICE, watch);
        for (uint32_t i = 0; i < record_count; i++)
            if (records[i].vm->vcpus[0]->cpu == 0)
                assert_int_equal(vm_end(records[i].vm), 0);
        (void)machine_run(machine.now + 20 * SLICE, 100, watch);
        end_all();
        finish_run(seed, 100 * SLICE);
    }
}

/* ---- Hostile neighbours ------------------------------------------------------------------------
 */

/* Half of the vCPUs compute, or a third, for a ringer has two. Nobody wants more than its share. */
static void check_neighbour(enum kind kind, uint32_t cores)
{
    uint32_t vcpus = kind == RINGER ? 2 : 1;
    begin_run(kind, cores, SLICE, 0);
    for (uint32_t i = 0; i < cores; i++)
        add_vm(HOG, 1, 100);
    for (uint32_t i = 0; i < cores; i++)
        add_vm(kind, vcpus, 100)->kinds[1] = WAITER;
    run_bound = bounded_wait(SLICE);
    take_bound = SLICE;
    measure(kind, SHARE_TICKS, watch);
    for (uint32_t i = 0; i < cores; i++) {
        uint64_t fair = (uint64_t)SHARE_TICKS / (1 + vcpus);
        if (ticks_of(i) < fair * 90 / 100)
            fail_msg("beside kind %u on %u cores, hog %u has %llu of %llu", kind, cores, i,
                     (unsigned long long)ticks_of(i), (unsigned long long)fair);
        assert_true(records[i].guests[0].waited_most < run_bound);
    }
    end_all();
    finish_run(kind, 100 * SLICE);
}

static void test_hostile_neighbours(void **state)
{
    static const enum kind kinds[] = {NAPPER, YIELDER, STORMER, RINGER};
    (void)state;
    for (uint32_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        check_neighbour(kinds[i], 1);
        check_neighbour(kinds[i], 2);
    }
}

/* A run that failed leaves its VMs behind; after others, `pages` tells. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* With a seed: only that run of the random ones, with its log. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_interleavings),
        cmocka_unit_test(test_sleep_for_good),
        cmocka_unit_test(test_looks_keep_alive),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_idle_core_takes_work),
        cmocka_unit_test(test_hostile_neighbours),
    };
    if (argc < 2)
        return cmocka_run_group_tests(tests, NULL, NULL);
    const struct CMUnitTest random_ones[] = {cmocka_unit_test(test_random_interleavings)};
    verbose = true;
    seed_first = strtoull(argv[1], NULL, 0);
    seed_count = 1;
    return cmocka_run_group_tests(random_ones, NULL, NULL);
}
