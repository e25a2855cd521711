/* SPDX-License-Identifier: MIT */
/* Looking at VMs that live on other cores: their locks are tried, never waited for. Behind a VM's
 * lock it is neither built nor given back, so what it has stays; the figures of its vCPUs are
 * written by their cores meanwhile, each a word that is whole. */
#include "kernel/monitor/vm_view.h"

#include <stdatomic.h>

#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/vm/sched_core.h"

#define BUSY_TRIES 20 /* COMMAND_WAITs for the lock of one VM */

const char *vm_state_text(const struct vm *vm)
{
    if (vm->state == VM_REFUSED)
        return "refused";
    if (vm->state == VM_STOPPED)
        return vm->restarting ? "restarting" : "stopped";
    if (atomic_load_explicit(&vm->stop_reason, memory_order_relaxed) != STOP_NONE)
        return "stopping";
    return atomic_load_explicit(&vm->paused, memory_order_relaxed) ? "paused" : "running";
}

/* With the VM's lock, which keeps its memory and its vCPUs. */
static void look_at_life(struct vm *vm, struct vm_view *view)
{
    struct guest_memory *memory = &vm->memory;
    view->life_run_ticks = vm_run_ticks(vm);
    view->run_ticks += view->life_run_ticks;
    view->life_ticks = rdtsc() - vm->started_tsc;
    view->size = memory->size;
    spin_lock(&memory->lock); /* for no longer than it takes to clear a page: nothing is built */
    view->resident = memory->present * PAGE_SIZE;
    view->reserved = memory->pool.reserved * PAGE_SIZE;
    view->tables = memory->ept.table_count * PAGE_SIZE;
    view->overhead = (memory->pool.taken - memory->present + vm->record_frames) * PAGE_SIZE;
    spin_unlock(&memory->lock);
}

bool vm_look(struct vm *vm, struct vm_view *view)
{
    *view = (struct vm_view){0};
    if (!spin_trylock(&vm->lock))
        return false;
    view->alive = vm->state == VM_ALIVE;
    view->state = vm_state_text(vm);
    view->reason = vm->last_reason;
    view->ended = vm->last_reason != STOP_NONE;
    view->status = vm->status;
    view->starts = vm->starts;
    view->restarts = vm->restarts;
    view->restart_tsc = vm->restart_tsc;
    view->run_ticks = vm->run_ticks;
    if (view->alive)
        look_at_life(vm, view);
    spin_unlock(&vm->lock);
    return true;
}

static void look_at_vcpu(const struct vcpu *vcpu, struct vcpu_view *view)
{
    view->state = vcpu->state;
    view->wait = vcpu->wait;
    view->cpu = atomic_load_explicit(&vcpu->cpu, memory_order_relaxed);
    view->run_ticks = vcpu->run_ticks;
    view->timer = vcpu_apic_deadline(vcpu);
    bool timed = view->wait == WAIT_TIME || view->wait == WAIT_FRAME;
    view->wake = timed                       ? vcpu->wake_tsc
                 : view->wait == WAIT_BUDGET ? vcpu->budget_tsc
                                             : UINT64_MAX;
}

bool vcpu_look(struct vm *vm, uint32_t index, struct vcpu_view *view, bool *there)
{
    if (!spin_trylock(&vm->lock))
        return false;
    *there = vm->state == VM_ALIVE && index < vm->config.vcpus;
    if (*there)
        look_at_vcpu(vm->vcpus[index], view);
    spin_unlock(&vm->lock);
    return true;
}

void vm_ended_text(const struct vm_view *view, char text[VM_ENDED_MAX])
{
    if (!view->ended)
        snprintf(text, VM_ENDED_MAX, "-");
    else if (view->reason == STOP_GUEST_EXIT)
        snprintf(text, VM_ENDED_MAX, "status %u", view->status);
    else
        snprintf(text, VM_ENDED_MAX, "%s", stop_reason_name(view->reason));
}

bool command_look(struct invocation *call, struct vm *vm, struct vm_view *view)
{
    if (!vm_look(vm, view)) {
        if (call->state[7]++ < BUSY_TRIES)
            return false;
        view->busy = true;
        view->state = "busy";
    }
    call->state[7] = 0;
    return true;
}

enum command_result command_each_vm(struct invocation *call,
                                    void (*row)(struct output *, struct vm *,
                                                const struct vm_view *))
{
    /* the list is complete since boot, and its records stay */
    struct vm *vm = call->state[6] ? (struct vm *)(uintptr_t)call->state[5] : STAILQ_FIRST(&vms);
    call->state[6] = 1;
    for (unsigned rows = 0; vm; rows++) {
        struct vm_view view;
        call->state[5] = (uintptr_t)vm;
        if (rows == COMMAND_ROWS)
            return COMMAND_MORE;
        if (!command_look(call, vm, &view))
            return COMMAND_WAIT;
        row(&call->out, vm, &view);
        vm = STAILQ_NEXT(vm, link);
    }
    return COMMAND_DONE;
}
