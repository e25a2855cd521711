/* SPDX-License-Identifier: MIT */
/* What cores ask of each other about vCPUs: a mailbox for each core, in which a vCPU with requests
 * lies at most once. Only the core that has a vCPU serves them. */
#include "kernel/lib/hot_path.h"

#include "kernel/cpu/apic.h"
#include "kernel/panic.h"
#include "kernel/vm/hvt.h"
#include "kernel/vm/inspect.h"
#include "kernel/vm/sched_core.h"

#define SERVES_MAX 4 /* of one vCPU's requests in a row */

/* Into the mailbox of the core that has the vCPU. When it has moved on by the time the mailbox is
 * emptied, that core sends it after it. */
static void deliver(struct vcpu *vcpu)
{
    /* acquire: with the core come the changes of the one that gave it away */
    uint32_t index = atomic_load_explicit(&vcpu->cpu, memory_order_acquire);
    struct core *core = &sched_cores[index];
    spin_lock(&core->lock);
    STAILQ_INSERT_TAIL(&core->mail, vcpu, mail);
    /* relaxed: the lock and the IPI order it */
    bool first = !atomic_exchange_explicit(&core->has_mail, true, memory_order_relaxed);
    spin_unlock(&core->lock);
    if (first)
        sched_wake_core(index);
}

/* A request on its way is a user of the VM, and keeps it from being taken for dead. */
static void count_mail(struct vm *vm)
{
    atomic_fetch_add_explicit(&vm->users, 1, memory_order_relaxed);
    atomic_fetch_add(&vm->awake, 1);
}

void sched_post(struct vcpu *vcpu, uint32_t requests)
{
    /* Not 0: it is in a mailbox already, and whoever empties that sees the new bits too. An INIT
     * takes back a start that was not yet served. acq_rel: what was written before is seen there.
     */
    if (requests & REQUEST_INIT)
        atomic_fetch_and_explicit(&vcpu->requests, ~(uint32_t)(REQUEST_SIPI | REQUEST_START),
                                  memory_order_relaxed);
    if (atomic_fetch_or_explicit(&vcpu->requests, requests | REQUEST_LOOK, memory_order_acq_rel))
        return;
    count_mail(vcpu->vm);
    deliver(vcpu);
}

void core_hand_over(struct vcpu *vcpu, uint32_t index)
{
    /* The request stands before the core changes, so that nobody takes it for one that is there;
     * behind the change the vCPU may be gone at any moment unless this request holds its VM. */
    bool lies = atomic_fetch_or(&vcpu->requests, REQUEST_ARRIVE | REQUEST_LOOK) != 0;
    if (!lies)
        count_mail(vcpu->vm);
    /* release: who sees the new core sees the vCPU as it left this one */
    atomic_store_explicit(&vcpu->cpu, index, memory_order_release);
    if (!lies)
        deliver(vcpu);
}

static void begin(struct core *core, struct vcpu *vcpu, uint32_t requests)
{
    if (vcpu->state != VCPU_CREATED)
        return; /* SDM Vol. 3A, 8.4.3: a processor that runs ignores SIPI */
    if (core->bound == vcpu)
        core_unbind(core); /* what the registers hold is from before its INIT */
    if (requests & REQUEST_START) {
        uint64_t at = atomic_load_explicit(&vcpu->start_at, memory_order_relaxed);
        if (vcpu->vm->hvt)
            hvt_start(vcpu, (uint32_t)at);
        else
            vmx_start_protected(&vcpu->vmx, GPA((uint32_t)at), (uint32_t)(at >> 32));
    } else {
        vmx_start_real(&vcpu->vmx,
                       atomic_load_explicit(&vcpu->sipi_page, memory_order_relaxed));
    }
    vcpu_step(vcpu, VCPU_START);
    if (core->current != vcpu) /* else run_vcpu queues it */
        core_place(core, vcpu);
}

static void init(struct core *core, struct vcpu *vcpu)
{
    core_withdraw(core, vcpu);
    vcpu_step(vcpu, VCPU_INIT);
    vapic_reset(&vcpu->apic, vcpu->index);
    vcpu->wait = WAIT_NOTHING;
    vcpu->vmx.attention = false;
    atomic_store(&vcpu->nmi, false);
    atomic_store(&vcpu->hears, HEARS_NONE);
    if (core->current != vcpu && core->bound == vcpu)
        core_unbind(core);
}

static void look(struct core *core, struct vcpu *vcpu)
{
    bool paused = atomic_load_explicit(&vcpu->vm->paused, memory_order_relaxed);
    vcpu->vmx.attention = true;
    if (paused && vcpu->state != VCPU_PAUSED) {
        core_withdraw(core, vcpu);
        vcpu_step(vcpu, VCPU_PAUSE);
        atomic_store(&vcpu->hears, HEARS_NONE);
    } else if (!paused && vcpu->state == VCPU_PAUSED) {
        vcpu_step(vcpu, VCPU_RESUME);
        if (core->current != vcpu) /* else run_vcpu queues it */
            core_place(core, vcpu); /* pick() sees whether it still waits */
    } else if (vcpu->state == VCPU_SLEEPING && vcpu_wait_is_over(vcpu)) {
        core_wake(core, vcpu);
    }
}

/* What was asked of a vCPU of this core. */
static void serve(struct core *core, struct vcpu *vcpu, uint32_t requests)
{
    if (requests & REQUEST_INSPECT)
        inspect_serve(vcpu);
    if (vcpu->state == VCPU_STOPPED)
        return;
    /* acquire: the reason comes with what led to it */
    if (atomic_load_explicit(&vcpu->vm->stop_reason, memory_order_acquire) != STOP_NONE) {
        vcpu_step(vcpu, VCPU_STOP);
        if (core->current != vcpu)
            core_bury(core, vcpu);
        return;
    }
    if (requests & REQUEST_INIT)
        init(core, vcpu);
    if (requests & REQUEST_ARRIVE && vcpu->state == VCPU_RUNNABLE)
        core_enqueue(core, vcpu);
    if (requests & (REQUEST_START | REQUEST_SIPI))
        begin(core, vcpu, requests);
    if (vcpu_is_here(vcpu))
        look(core, vcpu);
}

/* Serves a vCPU until nothing more was asked of it meanwhile, and lets go of it. REQUEST_BUSY
 * stands until then, so that others see that something is on its way until its effect is there. */
static void serve_all(struct core *core, struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    uint64_t start = core_read_tsc(core);
    for (unsigned turn = 1;; turn++) {
        uint32_t busy = REQUEST_BUSY;
        serve(core, vcpu, atomic_exchange(&vcpu->requests, REQUEST_BUSY));
        if (atomic_compare_exchange_strong(&vcpu->requests, &busy, 0))
            break;
        /* It was given away, and the rest is for the other core; or more is asked all the time. */
        if (!vcpu_is_here(vcpu) || turn == SERVES_MAX) {
            atomic_fetch_and(&vcpu->requests, ~(uint32_t)REQUEST_BUSY);
            deliver(vcpu);
            return;
        }
    }
    /* A vCPU that was stopped is not touched again: its VM may go with the last user. */
    if (vcpu_is_here(vcpu) && vcpu->state != VCPU_STOPPED) {
        vcpu->owed += core_read_tsc(core) - start; /* its own time, not that of who runs here */
        core_check_dormant(core, vcpu, 1);
    } else {
        atomic_fetch_sub(&vm->awake, 1);
    }
    vm_put(vm);
}

void core_read_mail(struct core *core)
{
    struct mailbox taken = STAILQ_HEAD_INITIALIZER(taken);
    struct vcpu *vcpu;
    spin_lock(&core->lock);
    STAILQ_CONCAT(&taken, &core->mail);
    atomic_store_explicit(&core->has_mail, false, memory_order_relaxed);
    spin_unlock(&core->lock);
    while ((vcpu = STAILQ_FIRST(&taken))) {
        STAILQ_REMOVE_HEAD(&taken, mail);
        if (vcpu_is_here(vcpu))
            serve_all(core, vcpu);
        else
            deliver(vcpu);
    }
}
