/* SPDX-License-Identifier: MIT */
/* One loop a core: the next vCPU, its slice, its exits. There is no stack a vCPU: one that waits is
 * a record in a queue. The host takes interrupts only while it is idle here. */
#include "kernel/vm/sched.h"

#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/log.h"
#include "kernel/vm/exits.h"
#include "kernel/vm/signals.h"

#define DRAIN_US 1000 /* an idle core looks after the log this often: 16 bytes take 1.4 ms */

TAILQ_HEAD(vcpu_queue, vcpu);

struct core {
    struct spinlock lock;        /* of `arriving`, the only field that other cores touch */
    struct vcpu_queue arriving;
    struct vcpu_queue runnable;
    struct vcpu_queue sleeping;  /* ascending wake_tsc */
    struct vcpu *bound;          /* whose state is in this core's registers, or NULL */
    uint32_t given;              /* vCPUs that were ever given to this core */
} __attribute__((aligned(64)));

static struct core cores[CPUS_MAX];
static const uint32_t *members;
static uint32_t member_count;
static uint64_t slice_ticks;

void sched_init(const uint32_t *cpu_indices, uint32_t count, uint64_t ticks)
{
    members = cpu_indices;
    member_count = count;
    slice_ticks = ticks;
    for (uint32_t i = 0; i < count; i++) {
        TAILQ_INIT(&cores[members[i]].arriving);
        TAILQ_INIT(&cores[members[i]].runnable);
        TAILQ_INIT(&cores[members[i]].sleeping);
    }
}

void sched_wake_core(uint32_t index)
{
    if (index != cpu_index())
        apic_send(cpus[index]->apic_id, VECTOR_WAKE);
}

bool sched_other_core(uint32_t *index)
{
    for (uint32_t i = 0; i < member_count; i++)
        if (members[i] != cpu_index()) {
            *index = members[i];
            return true;
        }
    return false;
}

void sched_add(struct vcpu *vcpu)
{
    uint32_t best = members[0];
    /* Of equals the last one: the first looks after the log. */
    for (uint32_t i = 1; i < member_count; i++)
        if (cores[members[i]].given <= cores[best].given)
            best = members[i];
    struct core *core = &cores[best];
    core->given++;
    vcpu->cpu = best;
    spin_lock(&core->lock);
    TAILQ_INSERT_TAIL(&core->arriving, vcpu, link);
    spin_unlock(&core->lock);
    sched_wake_core(best);
}

static void take_arrivals(struct core *core)
{
    if (TAILQ_EMPTY(&core->arriving)) /* a glance without the lock: a wake-up IPI follows */
        return;
    spin_lock(&core->lock);
    TAILQ_CONCAT(&core->runnable, &core->arriving, link);
    spin_unlock(&core->lock);
}

static void wake_due(struct core *core, uint64_t now)
{
    struct vcpu *vcpu;
    while ((vcpu = TAILQ_FIRST(&core->sleeping)) && vcpu->wake_tsc <= now) {
        TAILQ_REMOVE(&core->sleeping, vcpu, link);
        vcpu->state = VCPU_RUNNABLE;
        TAILQ_INSERT_TAIL(&core->runnable, vcpu, link);
    }
}

static void put_to_sleep(struct core *core, struct vcpu *vcpu)
{
    struct vcpu *other;
    TAILQ_FOREACH(other, &core->sleeping, link)
        if (other->wake_tsc > vcpu->wake_tsc) {
            TAILQ_INSERT_BEFORE(other, vcpu, link);
            return;
        }
    TAILQ_INSERT_TAIL(&core->sleeping, vcpu, link);
}

static void bind(struct core *core, struct vcpu *vcpu)
{
    if (core->bound == vcpu)
        return;
    if (core->bound)
        vmx_unbind(&core->bound->vmx);
    vmx_bind(&vcpu->vmx);
    core->bound = vcpu;
}

static void end(struct core *core, struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    vmx_unbind(&vcpu->vmx);
    core->bound = NULL;
    vm_release(vm);
    if (vms_alive() > 0)
        return;
    for (uint32_t i = 0; i < member_count; i++)
        sched_wake_core(members[i]); /* it was the last one: they all leave */
}

/* Until the slice is over, or the vCPU sleeps, stops or yields. The preemption timer ends a guest
 * that does not exit; the TSC ends one that exits without end, since the timer counts only while
 * the guest runs. */
static void run_slice(struct vcpu *vcpu, uint64_t start, uint64_t end_tsc)
{
    char error[VMX_ERROR_MAX];
    struct vm_exit exit = {0};
    vcpu->slice_start = start;
    bool timer = vmx_preemption_set(&vcpu->vmx, end_tsc - start);
    if (!timer) /* its interrupt exits too, though not on every machine with IF=0 */
        apic_timer_arm(end_tsc);
    do {
        if (__builtin_expect(vmx_run(&vcpu->vmx, &exit, error) != 0, 0))
            vm_stop(vcpu, STOP_VMFAIL, NULL, "%s", error);
        else
            exit_handle(vcpu, &exit);
        if (!timer && exit.reason == EXIT_EXTERNAL_INTERRUPT && rdtsc() < end_tsc)
            apic_timer_arm(end_tsc); /* it was early, or another interrupt */
    } while (vcpu->state == VCPU_RUNNABLE && !vcpu->yielded && rdtsc() < end_tsc);
    if (!timer)
        apic_timer_stop();
    vcpu->yielded = false;
    vcpu->run_ticks += rdtsc() - start;
    vcpu->slice_start = 0;
}

static void run_vcpu(struct core *core, struct vcpu *vcpu)
{
    bind(core, vcpu);
    uint64_t now = rdtsc();
    uint64_t end_tsc = now + slice_ticks;
    struct vcpu *sleeper = TAILQ_FIRST(&core->sleeping);
    if (sleeper && sleeper->wake_tsc < end_tsc)
        end_tsc = MAX(sleeper->wake_tsc, now + 1);
    run_slice(vcpu, now, end_tsc);

    if (vcpu->state == VCPU_STOPPED)
        end(core, vcpu);
    else if (vcpu->state == VCPU_SLEEPING)
        put_to_sleep(core, vcpu);
    else
        TAILQ_INSERT_TAIL(&core->runnable, vcpu, link);
}

/* Halts until the next sleeper, a wake-up or, while the log is not empty, a short time. */
static void idle(struct core *core)
{
    struct vcpu *sleeper = TAILQ_FIRST(&core->sleeping);
    uint64_t deadline = sleeper ? sleeper->wake_tsc : UINT64_MAX;
    if (!log_drain())
        deadline = MIN(deadline, rdtsc() + time_us_to_ticks(DRAIN_US));
    if (deadline != UINT64_MAX)
        apic_timer_arm(deadline);
    wait_for_interrupt();
    apic_timer_stop();
}

/* Leaves nothing of a guest in the core's registers: a reset is coming. */
static void prepare_restart(struct core *core)
{
    if (core->bound)
        vmx_unbind(&core->bound->vmx);
    core->bound = NULL;
}

enum sched_result sched_run(void)
{
    struct core *core = &cores[cpu_index()];
    for (;;) {
        signals_serve();
        take_arrivals(core);
        wake_due(core, rdtsc());
        struct vcpu *vcpu = TAILQ_FIRST(&core->runnable);
        if (vcpu) {
            TAILQ_REMOVE(&core->runnable, vcpu, link);
            run_vcpu(core, vcpu);
            log_drain();
            if (vcpu->restart_core) {
                vcpu->restart_core = false;
                prepare_restart(core);
                return SCHED_RESTART;
            }
        } else if (vms_alive() == 0) {
            return SCHED_FINISHED;
        } else {
            idle(core);
        }
    }
}
