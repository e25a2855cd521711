/* SPDX-License-Identifier: MIT */
/* Waiting and waking: for an interrupt, for a time, for a frame, for the next period of a cap. A
 * sleeping vCPU is at most one armed timer of its core; it costs nothing until that fires or a
 * request comes. */
#include "kernel/lib/hot_path.h"

#include <linux/errno.h>

#include "kernel/vm/console.h"
#include "kernel/vm/devices.h"
#include "kernel/vm/hvt.h"
#include "kernel/vm/interrupts.h"
#include "kernel/vm/sched_core.h"

uint64_t vcpu_apic_deadline(const struct vcpu *vcpu)
{
    uint64_t guest = vcpu->apic.deadline;
    uint64_t offset = vcpu->vmx.tsc_offset; /* below 0, as 2^64 - n: guests start after the host */
    return guest == VAPIC_NEVER || guest - offset < guest ? VAPIC_NEVER : guest - offset;
}

static bool interrupts_end_wait(struct vcpu *vcpu)
{
    interrupts_collect(vcpu);
    return (vcpu->wakes_by_nmi && atomic_load(&vcpu->nmi)) ||
           (vcpu->wakes_by_interrupt && vapic_deliverable(&vcpu->apic) >= 0);
}

bool vcpu_wait_is_over(struct vcpu *vcpu)
{
    switch (vcpu->wait) {
    case WAIT_NOTHING:
        return true;
    case WAIT_INTERRUPT:
        return interrupts_end_wait(vcpu);
    case WAIT_TIME:
        return rdtsc() >= vcpu->wake_tsc || interrupts_end_wait(vcpu);
    case WAIT_FRAME:
        return hvt_ready(vcpu->vm) || rdtsc() >= vcpu->wake_tsc;
    case WAIT_BUDGET:
        return rdtsc() >= vcpu->budget_tsc;
    }
    return true;
}

/* The end of a wait: a sleep that an interrupt ended says so, and a poll says what it found. */
void vcpu_end_wait(struct vcpu *vcpu)
{
    if (vcpu->wait == WAIT_FRAME)
        hvt_poll_done(vcpu);
    if (vcpu->wait == WAIT_TIME && rdtsc() < vcpu->wake_tsc)
        vcpu->vmx.gpr[VMX_RAX] = (uint64_t)-EINTR;
    vcpu->wait = WAIT_NOTHING;
    vcpu->vmx.attention = true;
}

/* When its APIC's timer may wake it. A timer whose interrupt is masked, waits already or cannot be
 * delivered does not, however often it fires. */
static uint64_t waking_timer(const struct vcpu *vcpu)
{
    if (!vcpu->wakes_by_interrupt || !vapic_timer_counts(&vcpu->apic))
        return VAPIC_NEVER;
    return vcpu_apic_deadline(vcpu);
}

static uint64_t wait_deadline(const struct vcpu *vcpu)
{
    switch (vcpu->wait) {
    case WAIT_TIME:
        return MIN(vcpu->wake_tsc, waking_timer(vcpu));
    case WAIT_FRAME:
        return vcpu->wake_tsc;
    case WAIT_BUDGET:
        return vcpu->budget_tsc;
    default:
        return waking_timer(vcpu);
    }
}

/* Nothing wakes it: neither its timer nor a peer that may ring nor a frame nor who types. */
static bool sleeps_for_good(const struct vcpu *vcpu)
{
    const struct vm *vm = vcpu->vm;
    return vcpu->wait == WAIT_INTERRUPT && waking_timer(vcpu) == VAPIC_NEVER &&
           !(vcpu->wakes_by_interrupt &&
             (links_can_wake(vm) || console_can_wake(vm) || devices_can_wake(vm)));
}

/* A request counts as awake only a moment after it stands in `requests`: who sees it there may rely
 * on it before. Whoever serves it looks at the VM again. */
static bool is_asked(const struct vm *vm)
{
    for (uint32_t i = 0; i < vm->config.vcpus; i++)
        if (atomic_load(&vm->vcpus[i]->requests) != 0)
            return true;
    return false;
}

void core_check_dormant(struct core *core, struct vcpu *vcpu, uint32_t put)
{
    struct vm *vm = vcpu->vm;
    bool was = vcpu->dormant;
    vcpu->dormant = vcpu->state == VCPU_CREATED ||
                    (vcpu->state == VCPU_SLEEPING && sleeps_for_good(vcpu));
    /* One step for both: who sees 0 knows that nobody is awake and nothing is on the way. */
    uint32_t change = (uint32_t)was - (uint32_t)vcpu->dormant - put;
    if (change == 0 || atomic_fetch_add(&vm->awake, change) + change != 0 || is_asked(vm))
        return;
    if (vm->config.vcpus == 1)
        vm_stop(vcpu, STOP_HALTED_FOREVER, NULL,
                "HLT with RFLAGS.IF=%u, and no interrupt can come", vcpu->wakes_by_interrupt);
    else
        vm_stop(vcpu, STOP_HALTED_FOREVER, NULL,
                "all %u vCPUs are halted or were never started, and nothing can wake one",
                vm->config.vcpus);
    if (core->current != vcpu) /* else put_back does it */
        core_bury(core, vcpu);
}

static void timer_fired(struct timer *timer)
{
    struct vcpu *vcpu = (struct vcpu *)((char *)timer - offsetof(struct vcpu, timer));
    struct core *core = this_core();
    uint64_t start = core_read_tsc(core);
    interrupts_run_timer(vcpu);
    if (vcpu_wait_is_over(vcpu)) {
        vcpu->owed += core_read_tsc(core) - start;
        core_wake(core, vcpu);
        return;
    }
    if (wait_deadline(vcpu) != UINT64_MAX) /* its cap came first, or its APIC's timer */
        timers_arm(&core->timers, timer, wait_deadline(vcpu));
    core_check_dormant(core, vcpu, 0);
}

/* What is worth a request while it sleeps. */
static int hears_asleep(const struct vcpu *vcpu)
{
    if (vcpu->wait == WAIT_BUDGET || vcpu->wait == WAIT_FRAME || !vcpu->wakes_by_interrupt)
        return HEARS_NONE;
    return vapic_priority_class(&vcpu->apic);
}

void core_put_to_sleep(struct core *core, struct vcpu *vcpu)
{
    vcpu_step(vcpu, VCPU_SLEEP);
    atomic_store(&vcpu->hears, hears_asleep(vcpu));
    atomic_store(&vcpu->waits_for_frame, vcpu->wait == WAIT_FRAME);
    if (vcpu_wait_is_over(vcpu)) { /* posted meanwhile, by one that saw no need of a request */
        core_wake(core, vcpu);
        return;
    }
    uint64_t deadline = wait_deadline(vcpu);
    vcpu->timer.fire = timer_fired;
    if (deadline != UINT64_MAX)
        timers_arm(&core->timers, &vcpu->timer, deadline);
    core_check_dormant(core, vcpu, 0);
}

void core_wake(struct core *core, struct vcpu *vcpu)
{
    timers_cancel(&core->timers, &vcpu->timer);
    atomic_store_explicit(&vcpu->waits_for_frame, false, memory_order_relaxed);
    vcpu_end_wait(vcpu);
    vcpu_step(vcpu, VCPU_WAKE);
    core_place(core, vcpu);
}

struct vcpu *core_wake_at_once(struct core *core)
{
    struct timer *timer = core->timers.first;
    struct vcpu *vcpu = core->bound;
    if (!vcpu || timer != &vcpu->timer || timer->deadline > core->now ||
        vcpu->wait != WAIT_INTERRUPT || !vcpu->wakes_by_interrupt || vcpu->vm->config.cap ||
        core->queue->count > 0 || core_has_mail(core))
        return NULL;
    interrupts_run_timer(vcpu);
    if (!interrupts_end_halt(vcpu))
        return NULL;
    timers_cancel(&core->timers, timer);
    vcpu->wait = WAIT_NOTHING;
    vcpu_step(vcpu, VCPU_WAKE);
    run_queue_pass(core->queue, &vcpu->entry);
    vcpu_step(vcpu, VCPU_PICK);
    return vcpu;
}

static void note_blocking(struct vcpu *vcpu)
{
    vcpu->wakes_by_interrupt = vmx_interrupts_enabled(&vcpu->vmx);
    vcpu->wakes_by_nmi = !vmx_nmis_blocked(&vcpu->vmx);
}

void sched_wait_interrupt(struct vcpu *vcpu)
{
    note_blocking(vcpu);
    vcpu->wait = WAIT_INTERRUPT;
}

void sched_wait_until(struct vcpu *vcpu, uint64_t tsc)
{
    note_blocking(vcpu);
    vcpu->wake_tsc = tsc;
    vcpu->wait = WAIT_TIME;
}

void sched_wait_frame(struct vcpu *vcpu, uint64_t tsc)
{
    vcpu->wake_tsc = tsc;
    vcpu->wait = WAIT_FRAME;
}

void sched_timer_changed(struct vcpu *vcpu)
{
    (void)vcpu;
    this_core()->rearm = true;
}
