/* SPDX-License-Identifier: MIT */
/* One loop a core: requests, timers, the next vCPU, its slice, its exits. There is no stack a vCPU:
 * one that waits is a record in a queue. The host takes interrupts only while it is idle here. No
 * lock is taken on the way of an exit but that of a mailbox in which something lies. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/sched_core.h"

#include <linux/errno.h>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/time.h"
#include "kernel/cpu/traps.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"
#include "kernel/vm/exits.h"
#include "kernel/vm/interrupts.h"
#include "kernel/vm/signals.h"
#include "kernel/vm/trace.h"

#define DRAIN_US        1000 /* an idle core looks after the log this often: 16 bytes take 1.4 ms */
#define TIMERS_A_TURN   16   /* timers that fire before a vCPU has its turn again */
#define CAP_SLICES      10   /* the period of cap=, in longest slices ... */
#define CAP_PERIOD_US   10000 /* ... and at least this */
#define STAY_TICKS      1000 /* who was switched in has at least so much */
#define STAY_MAX        BIT(30) /* a stay's end is compared by its low half */

struct core sched_cores[CPUS_MAX];
const uint32_t *sched_members;
uint32_t sched_member_count;
uint64_t sched_longest_slice;
static bool shuffle;
static _Atomic bool staying, leaving;

/* ---- Cores ---------------------------------------------------------------------------------- */

int sched_init(const uint32_t *cpu_indices, uint32_t count, uint64_t slice_ticks)
{
    unsigned order = 0;
    while (PAGE_SIZE << order < sizeof(struct run_queue))
        order++;
    sched_members = cpu_indices;
    sched_member_count = count;
    sched_longest_slice = MAX(slice_ticks, 1);
    for (uint32_t i = 0; i < count; i++) {
        struct core *core = &sched_cores[sched_members[i]];
        hpa_t frames;
        if (frame_alloc(order, &frames))
            return -ENOMEM;
        core->queue = phys_to_virt(frames);
        run_queue_init(core->queue, sched_longest_slice);
        timers_init(&core->timers);
        STAILQ_INIT(&core->mail);
    }
    return 0;
}

void sched_wake_core(uint32_t index)
{
    if (index != cpu_index())
        apic_send(cpus[index]->apic_id, VECTOR_WAKE);
}

bool sched_other_core(uint32_t *index)
{
    for (uint32_t i = 0; i < sched_member_count; i++)
        if (sched_members[i] != cpu_index()) {
            *index = sched_members[i];
            return true;
        }
    return false;
}

static bool takes_part(uint32_t index)
{
    for (uint32_t i = 0; i < sched_member_count; i++)
        if (sched_members[i] == index)
            return true;
    return false;
}

bool sched_lacks_core(const uint64_t cpus_set[VM_CORES_MAX / 64], uint32_t *index)
{
    for (*index = 0; *index < VM_CORES_MAX; ++*index)
        if (sched_in_set(cpus_set, *index) && !takes_part(*index))
            return true;
    return false;
}

void sched_wake_all(void)
{
    for (uint32_t i = 0; i < sched_member_count; i++)
        sched_wake_core(sched_members[i]);
}

void sched_arm(struct timer *timer, uint64_t deadline)
{
    timers_arm(&this_core()->timers, timer, deadline);
}

static void trace_step(const struct vcpu *vcpu, enum vcpu_event event)
{
    switch (event) {
    case VCPU_PICK:
        trace_run(vcpu);
        return;
    case VCPU_WAKE:
        trace_wake(vcpu);
        return;
    case VCPU_SLEEP:
        trace_sleep(vcpu);
        return;
    default:
        return;
    }
}

void vcpu_step(struct vcpu *vcpu, enum vcpu_event event)
{
    enum vcpu_state next;
    if (vcpu_next_state(vcpu->state, event, &next))
        panic("%s: %s while it is %s", vcpu->name, vcpu_event_name(event),
              vcpu_state_name(vcpu->state));
    if (next == vcpu->state)
        return;
    uint64_t ticks = stats_leave_state(vcpu->stats, vcpu->state, this_core()->now);
    if (event == VCPU_PICK && vcpu->woken)
        stats_wake_latency(vcpu->stats, ticks);
    vcpu->woken = event == VCPU_WAKE;
    vcpu->state = next;
    if (trace_is_on())
        trace_step(vcpu, event);
}

/* ---- Running -------------------------------------------------------------------------------- */

void sched_adopt(struct vcpu *vcpu)
{
    const struct vm_config *config = &vcpu->vm->config;
    uint32_t best = UINT32_MAX, fewest = UINT32_MAX;
    /* Of equals the last one: the first core looks after the log. */
    for (uint32_t i = 0; i < sched_member_count; i++) {
        uint32_t adopted =
            atomic_load_explicit(&sched_cores[sched_members[i]].adopted, memory_order_relaxed);
        if (vcpu_may_run_on(vcpu, sched_members[i]) && adopted <= fewest) {
            fewest = adopted;
            best = sched_members[i];
        }
    }
    const struct run_entry last_life = {.vtime = vcpu->vm->vtime};
    run_entry_init(&vcpu->entry, config->weight);
    vcpu->entry.vtime =
        atomic_load_explicit(&sched_cores[best].vtime, memory_order_relaxed);
    if (vcpu->vm->starts > 0 && run_entry_before(&vcpu->entry, &last_life))
        vcpu->entry.vtime = last_life.vtime;
    atomic_fetch_add_explicit(&sched_cores[best].adopted, 1, memory_order_relaxed);
    atomic_store_explicit(&vcpu->cpu, best, memory_order_release);
    atomic_store(&vcpu->hears, HEARS_NONE);
    vcpu->dormant = true;
}

static uint64_t cap_period(void)
{
    return MAX(sched_longest_slice * CAP_SLICES, time_us_to_ticks(CAP_PERIOD_US));
}

/* What a vCPU may use of a period. */
static int64_t cap_quota(const struct vcpu *vcpu)
{
    const struct vm_config *config = &vcpu->vm->config;
    return (int64_t)MAX(cap_period() * config->cap / (100ull * config->vcpus), 1);
}

/* Gives what the periods since the last time are worth. False: it is all spent, and budget_tsc says
 * when there will be some again. */
static bool has_budget(struct vcpu *vcpu, uint64_t now)
{
    uint64_t period = cap_period();
    int64_t quota = cap_quota(vcpu);
    if (now >= vcpu->period_end) {
        uint64_t periods = (now - vcpu->period_end) / period + 1;
        uint64_t overdrawn = vcpu->budget > 0 ? 0 : (uint64_t)(-vcpu->budget / quota) + 1;
        vcpu->budget = periods > overdrawn ? quota : vcpu->budget + (int64_t)periods * quota;
        vcpu->period_end += periods * period;
    }
    uint64_t missing = vcpu->budget > 0 ? 0 : (uint64_t)(-vcpu->budget / quota);
    vcpu->budget_tsc = vcpu->period_end + missing * period;
    return vcpu->budget > 0;
}

bool sched_leave_core(struct vcpu *vcpu)
{
    uint32_t index;
    vcpu->leaves_core = vcpu->yielded = core_next_for(vcpu, &index);
    return vcpu->leaves_core;
}

void sched_shuffle(void)
{
    shuffle = true;
}

static void bind(struct core *core, struct vcpu *vcpu)
{
    if (core->bound == vcpu)
        return;
    core_unbind(core);
    vmx_bind(&vcpu->vmx);
    core->bound = vcpu;
}

/* The next moment at which the guest must come back: the end of its slice, its own timer, or a
 * sleeper of this core. */
static uint64_t next_stop(const struct core *core, const struct vcpu *vcpu, uint64_t now)
{
    uint64_t others = MAX(timers_next(&core->timers), now + STAY_TICKS); /* there may be many */
    uint64_t own = vcpu_apic_deadline(vcpu), first = MIN(own, others);
    return MIN(first, core->end_tsc);
}

/* What was done for others since `start` is not the current vCPU's to pay. */
static void not_charged(struct core *core, struct vcpu *vcpu, uint64_t start)
{
    uint64_t ticks = core_read_tsc(core) - start;
    vcpu->slice_start += ticks;
    core->end_tsc += ticks;
    core->rearm = true;
}

static void before_entry(struct vcpu *vcpu)
{
    if (vcpu->vmx.attention)
        interrupts_deliver(vcpu);
    if (trace_is_on()) {
        if (vcpu->vmx.event)
            trace_inject(vcpu, (uint32_t)vcpu->vmx.event);
        trace_entry(vcpu, rdtsc());
    }
}

static bool must_come_out(struct core *core, const struct vcpu *vcpu)
{
    return core_read_tsc(core) >= core->stop_tsc || core->rearm || core_has_mail(core) ||
           vcpu->state != VCPU_RUNNING || vcpu->wait != WAIT_NOTHING || vcpu->yielded ||
           vcpu->interrupted;
}

void sched_go_on(struct vcpu *vcpu)
{
    if (must_come_out(this_core(), vcpu))
        return;
    before_entry(vcpu);
    vmx_prepare(&vcpu->vmx);
    vmx_resume(&vcpu->vmx);
}

/* Sets when the guest comes back. False: there is no preemption timer, and the APIC's is set. */
static bool arm_stop(struct core *core, struct vcpu *vcpu, uint64_t now)
{
    core->rearm = false;
    exit_choose(vcpu);
    core->stop_tsc = next_stop(core, vcpu, now);
    core->stop_tsc = MIN(core->stop_tsc, now + STAY_MAX);
    vcpu->stop_tsc = (uint32_t)core->stop_tsc;
    if (vmx_preemption_set(&vcpu->vmx, core->stop_tsc > now ? core->stop_tsc - now : 0))
        return true;
    apic_timer_arm(core->stop_tsc); /* its interrupt exits too, though not everywhere with IF=0 */
    return false;
}

/* Until the slice is over, or the vCPU sleeps, stops or yields. Most exits never come back here:
 * sched_go_on. The preemption timer ends the stay of a guest that does not exit; the TSC ends that
 * of one that exits without end, since the timer counts only while the guest runs. */
static void run_slice(struct core *core, struct vcpu *vcpu)
{
    char error[VMX_ERROR_MAX];
    bool timer = true;
    core->rearm = true;
    uint64_t now = core_read_tsc(core);
    core->end_tsc = MAX(core->end_tsc, now + STAY_TICKS);
    do {
        if (now >= core->stop_tsc || core->rearm) {
            interrupts_run_timer(vcpu);
            if (timers_next(&core->timers) <= now) {
                timers_run(&core->timers, now, TIMERS_A_TURN);
                not_charged(core, vcpu, now);
            }
            timer = arm_stop(core, vcpu, now);
            if (now >= core->end_tsc)
                break;
        }
        before_entry(vcpu);
        if (__builtin_expect(vmx_run(&vcpu->vmx, error) != 0, 0)) {
            vm_stop(vcpu, STOP_VMFAIL, NULL, "%s", error);
            break;
        }
        now = core_read_tsc(core);
        if (vcpu->interrupted) {
            vcpu->interrupted = false;
            core_share(core, vcpu); /* an idle core asks like this */
            core->rearm = core->rearm || !timer;
        }
        if (core_has_mail(core)) {
            core_read_mail(core);
            not_charged(core, vcpu, now);
            now = core->now;
        }
        if (vcpu->wait != WAIT_NOTHING && vcpu_wait_is_over(vcpu))
            vcpu_end_wait(vcpu);
    } while (vcpu->state == VCPU_RUNNING && vcpu->wait == WAIT_NOTHING && !vcpu->yielded);
    if (!timer)
        apic_timer_stop();
}

static void charge(struct core *core, struct vcpu *vcpu)
{
    core->free_since = core_read_tsc(core);
    uint64_t ticks = core->free_since - vcpu->slice_start + vcpu->owed;
    vcpu->run_ticks += ticks;
    vcpu->slice_start = 0;
    vcpu->owed = 0;
    run_entry_charge(&vcpu->entry, ticks);
    if (vcpu->vm->config.cap)
        vcpu->budget -= (int64_t)ticks;
}

/* It may have been the last one of its VM, which then is given back: nothing that the next vCPU of
 * this core should pay for. */
static void end_of(struct core *core, struct vcpu *vcpu)
{
    core_bury(core, vcpu);
    core->free_since = rdtsc();
}

/* Behind its slice, by the state that it has now: it was preempted, waits, was started anew (behind
 * an INIT), or was stopped; paused, or reset by an INIT, it is nowhere. */
static void put_back(struct core *core, struct vcpu *vcpu)
{
    bool yielded = vcpu->yielded;
    vcpu->yielded = false;
    if (vcpu->state == VCPU_RUNNING && vcpu->wait != WAIT_NOTHING) {
        core_put_to_sleep(core, vcpu);
        return;
    }
    if (vcpu->state == VCPU_RUNNING)
        vcpu_step(vcpu, VCPU_PREEMPT);
    if (yielded)
        run_queue_yield(core->queue, &vcpu->entry);
    uint32_t index;
    bool leaves = vcpu->leaves_core || shuffle;
    vcpu->leaves_core = false;
    if (vcpu->state == VCPU_RUNNABLE && leaves && core_next_for(vcpu, &index))
        core_give(core, vcpu, index);
    else if (vcpu->state == VCPU_RUNNABLE)
        core_enqueue(core, vcpu);
    else if (vcpu->state == VCPU_STOPPED)
        end_of(core, vcpu);
    else if (core->bound == vcpu)
        core_unbind(core);
}

/* The slice of a vCPU that was picked, from the choice of it on: who makes the core switch often
 * pays for it. SCHED_RESTART: the core must be started anew. */
static enum sched_result run_vcpu(struct core *core, struct vcpu *vcpu)
{
    uint64_t now = core->free_since;
    vcpu->slice_start = now;
    core->end_tsc = now + run_queue_slice(core->queue, &vcpu->entry, core_slice_length(core));
    if (vcpu->vm->config.cap)
        core->end_tsc = MIN(core->end_tsc, now + (uint64_t)vcpu->budget);
    atomic_store_explicit(&core->vtime, vcpu->entry.vtime, memory_order_relaxed);
    core->current = vcpu;
    vcpu->mail_for_core = &core->has_mail;
    bind(core, vcpu);
    atomic_store(&vcpu->hears, HEARS_ALL);
    if (interrupts_wait_for(vcpu)) /* posted while it heard nothing */
        vcpu->vmx.attention = true;
    run_slice(core, vcpu);
    core->current = NULL;
    if (trace_is_on())
        trace_pause(vcpu);
    charge(core, vcpu);
    enum sched_result result = vcpu->restart_core ? SCHED_RESTART : SCHED_FINISHED;
    vcpu->restart_core = false;
    put_back(core, vcpu);
    return result;
}

/* The next vCPU. One that was resumed while it waits goes back to sleep, and so does one that has
 * used up its cap. */
static struct vcpu *pick(struct core *core)
{
    struct vcpu *vcpu;
    while ((vcpu = vcpu_of_entry(run_queue_take(core->queue)))) {
        core_publish(core);
        if (!vcpu_wait_is_over(vcpu)) {
            core_put_to_sleep(core, vcpu);
            continue;
        }
        vcpu_end_wait(vcpu);
        if (vcpu->vm->config.cap == 0 || has_budget(vcpu, rdtsc())) {
            vcpu_step(vcpu, VCPU_PICK);
            return vcpu;
        }
        vcpu->wait = WAIT_BUDGET;
        core_put_to_sleep(core, vcpu);
    }
    return NULL;
}

/* Halts until the next timer, a wake-up or, while the log is not empty, a short time. Returns who is
 * to run, if that is clear. */
static struct vcpu *idle(struct core *core)
{
    bool drained = log_drain();
    core_offer();
    uint64_t deadline = timers_next(&core->timers);
    if (!drained)
        deadline = MIN(deadline, rdtsc() + time_us_to_ticks(DRAIN_US));
    if (!core_has_mail(core)) {
        if (deadline != UINT64_MAX)
            apic_timer_arm(deadline);
        wait_for_interrupt();
    }
    core_take_back_offer();
    core->free_since = core_read_tsc(core);
    if (core->now < deadline) /* else it has fired */
        apic_timer_stop();
    return core_wake_at_once(core);
}

/* What is to be done between slices, and is nobody's to pay who has one. */
static void serve_others(struct core *core)
{
    uint64_t start = core_read_tsc(core);
    log_drain();
    signals_serve();
    if (core_has_mail(core))
        core_read_mail(core);
    timers_run(&core->timers, start, TIMERS_A_TURN);
    core->free_since += core_read_tsc(core) - start;
}

void sched_stay(bool stay)
{
    /* relaxed, as below: a core that has not seen it comes around again */
    atomic_store_explicit(&staying, stay, memory_order_relaxed);
    if (!stay)
        sched_wake_all();
}

void sched_leave(void)
{
    atomic_store_explicit(&leaving, true, memory_order_relaxed);
    sched_wake_all();
}

static bool nothing_to_stay_for(void)
{
    return vms_alive() == 0 && !atomic_load_explicit(&staying, memory_order_relaxed);
}

enum sched_result sched_run(void)
{
    struct core *core = this_core();
    struct vcpu *vcpu = NULL;
    enum sched_result result = SCHED_FINISHED;
    core->free_since = rdtsc();
    do {
        if (!vcpu) {
            serve_others(core);
            if (atomic_load_explicit(&leaving, memory_order_relaxed))
                break;
            vcpu = pick(core);
        }
        if (vcpu) {
            core_share(core, vcpu);
            result = run_vcpu(core, vcpu);
            vcpu = NULL;
        } else if (nothing_to_stay_for()) {
            break;
        } else {
            vcpu = idle(core);
        }
    } while (result == SCHED_FINISHED);
    core_unbind(core);
    return result;
}
