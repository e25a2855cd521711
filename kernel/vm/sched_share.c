/* SPDX-License-Identifier: MIT */
/* Who runs where. A core that has more vCPUs than it can run gives some away: to an idle core, or
 * to one that is ahead in virtual time, so that shares hold over all cores. Only the giver touches
 * the vCPU until the other one finds it in its mailbox: the VMCS is cleared where it is loaded. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/sched_core.h"
#include "kernel/vm/trace.h"

#define FULL_SLICES     4    /* up to so many runnable vCPUs have the longest slice */
#define RESIDENCY       4    /* a wake-up preempts no one before this part of the longest slice */
#define GIVEN_AT_ONCE   2    /* vCPUs that a core gives away between two slices */
#define COMPARISONS     4    /* with another core, in the time of the longest slice */
#define CANDIDATES      4    /* that it looks at for that: they may be pinned */

static _Atomic uint64_t idle_cores[CPUS_MAX / 64];
static _Atomic uint32_t idle_count; /* bits in them */

bool vcpu_may_run_on(const struct vcpu *vcpu, uint32_t index)
{
    return !vcpu->vm->config.pinned || sched_in_set(vcpu->vm->config.cpus, index);
}

void core_publish(struct core *core)
{
    /* relaxed: hints for other cores */
    atomic_store_explicit(&core->waiting, core->queue->count, memory_order_relaxed);
}

void core_unbind(struct core *core)
{
    if (core->bound)
        vmx_unbind(&core->bound->vmx);
    core->bound = NULL;
}

/* Takes a vCPU off this core: its registers and its VMCS, which only this core can clear. */
static void detach(struct core *core, struct vcpu *vcpu)
{
    if (core->bound == vcpu)
        core_unbind(core);
    vmx_unload(&vcpu->vmx);
}

void core_give(struct core *core, struct vcpu *vcpu, uint32_t index)
{
    if (trace_is_on())
        trace_migrate(vcpu, index);
    atomic_store(&vcpu->hears, HEARS_NONE);
    detach(core, vcpu);
    atomic_fetch_sub_explicit(&core->adopted, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sched_cores[index].adopted, 1, memory_order_relaxed);
    core_hand_over(vcpu, index);
}

/* Sets or clears a core's bit; true if it was the other way before. */
static bool mark_idle(uint32_t index, bool idle)
{
    uint64_t bit = 1ull << (index % 64);
    _Atomic uint64_t *word = &idle_cores[index / 64];
    /* seq_cst: who gives work away after this sees the bit; the mailbox is read behind it */
    uint64_t old = idle ? atomic_fetch_or(word, bit) : atomic_fetch_and(word, ~bit);
    if (!!(old & bit) == idle)
        return false;
    atomic_fetch_add(&idle_count, idle ? 1u : -1u);
    return true;
}

/* Claims an idle core on which the vCPU may run. */
static bool claim_idle(const struct vcpu *vcpu, uint32_t *index)
{
    if (atomic_load_explicit(&idle_count, memory_order_relaxed) == 0) /* as in a busy machine */
        return false;
    for (uint32_t word = 0; word < ARRAY_SIZE(idle_cores); word++) {
        uint64_t set = atomic_load_explicit(&idle_cores[word], memory_order_relaxed);
        if (vcpu->vm->config.pinned)
            set &= vcpu->vm->config.cpus[word];
        if (!set)
            continue;
        *index = word * 64 + (uint32_t)__builtin_ctzll(set);
        return mark_idle(*index, false);
    }
    return false;
}

/* Who is running is not disturbed before it had a fair piece of its slice. */
void core_enqueue(struct core *core, struct vcpu *vcpu)
{
    atomic_store(&vcpu->hears, HEARS_NONE);
    run_queue_add(core->queue, &vcpu->entry);
    core_publish(core);
    struct vcpu *current = core->current;
    if (!current || !run_entry_before(&vcpu->entry, &current->entry))
        return;
    uint64_t earliest = current->slice_start + sched_longest_slice / RESIDENCY;
    if (earliest < core->end_tsc) {
        core->end_tsc = earliest;
        core->rearm = true;
    }
}

static void give_waiting(struct core *core, struct vcpu *vcpu, uint32_t index)
{
    run_queue_remove(core->queue, &vcpu->entry);
    core_publish(core);
    core_give(core, vcpu, index);
}

static bool give_to_idle(struct core *core)
{
    struct run_entry *entry = run_queue_first(core->queue);
    for (unsigned i = 0; entry && i < CANDIDATES; i++) {
        struct vcpu *vcpu = vcpu_of_entry(entry);
        uint32_t index;
        if (claim_idle(vcpu, &index)) {
            give_waiting(core, vcpu, index);
            return true;
        }
        entry = run_queue_after(core->queue, entry);
    }
    return false;
}

void core_place(struct core *core, struct vcpu *vcpu)
{
    uint32_t index;
    run_queue_lift(core->queue, &vcpu->entry);
    if ((core->current || core->queue->count) && claim_idle(vcpu, &index)) {
        core_give(core, vcpu, index);
        return;
    }
    core_enqueue(core, vcpu);
    /* A core that has become idle since then looked for who waits before or behind this: one of the
     * two sees the other (seq_cst, as in mark_idle). */
    atomic_thread_fence(memory_order_seq_cst);
    if (core->current)
        (void)give_to_idle(core);
}

void core_withdraw(struct core *core, struct vcpu *vcpu)
{
    timers_cancel(&core->timers, &vcpu->timer);
    if (vcpu->entry.queued) {
        run_queue_remove(core->queue, &vcpu->entry);
        core_publish(core);
    }
}

void core_bury(struct core *core, struct vcpu *vcpu)
{
    core_withdraw(core, vcpu);
    detach(core, vcpu);
    atomic_fetch_sub_explicit(&core->adopted, 1, memory_order_relaxed);
    vm_put(vcpu->vm);
}

uint64_t core_slice_length(const struct core *core)
{
    uint64_t runnable = core->queue->count + 1;
    if (runnable <= FULL_SLICES)
        return sched_longest_slice;
    uint64_t slice = sched_longest_slice * FULL_SLICES / runnable;
    return MAX(slice, sched_longest_slice / SLICE_DIVISOR);
}

/* A waiting vCPU of this core that may run on `index`. */
static struct vcpu *candidate_for(const struct core *core, uint32_t index)
{
    struct run_entry *entry = run_queue_first(core->queue);
    for (unsigned i = 0; entry && i < CANDIDATES; i++) {
        if (vcpu_may_run_on(vcpu_of_entry(entry), index))
            return vcpu_of_entry(entry);
        entry = run_queue_after(core->queue, entry);
    }
    return NULL;
}

/* How far the vCPUs of another core, the next one in turn, have come; false when none runs there.
 */
static bool compare_with_next(struct core *core, uint32_t *index, uint64_t *vtime)
{
    core->compared = (core->compared + 1) % sched_member_count;
    *index = sched_members[core->compared];
    *vtime = atomic_load_explicit(&sched_cores[*index].vtime, memory_order_relaxed);
    uint64_t idle = atomic_load_explicit(&idle_cores[*index / 64], memory_order_relaxed);
    return *index != cpu_index() && !(idle >> (*index % 64) & 1);
}

/* A vCPU that waits here although it has had clearly less than those that run there goes there. */
static void give_to_one_ahead(struct core *core, uint32_t index, uint64_t vtime)
{
    struct vcpu *vcpu = candidate_for(core, index);
    if (!vcpu)
        return;
    const struct run_entry there = {.vtime = vtime};
    struct run_entry moved = vcpu->entry;
    uint64_t slice = run_queue_slice(core->queue, &moved, core_slice_length(core));
    run_entry_charge(&moved, slice / 2); /* a margin: moving has its price */
    if (run_entry_before(&moved, &there))
        give_waiting(core, vcpu, index);
}

void core_share(struct core *core, struct vcpu *vcpu)
{
    uint32_t index;
    uint64_t vtime;
    if (sched_member_count == 1)
        return;
    for (unsigned i = 0; i < GIVEN_AT_ONCE && core->queue->count > 0; i++)
        if (!give_to_idle(core))
            break;
    if (core->now < core->compare_at)
        return;
    core->compare_at = core->now + sched_longest_slice / COMPARISONS;
    if (!compare_with_next(core, &index, &vtime))
        return;
    if (core->queue->count > 0)
        give_to_one_ahead(core, index, vtime);
    else /* nobody waits: who has a core alone gets all that it can, and has no claim to more */
        run_queue_catch_up(core->queue, &vcpu->entry, vtime);
}

/* An idle core asks the one that has most vCPUs waiting. */
static void ask_for_work(void)
{
    uint32_t most = 0, index = 0;
    for (uint32_t i = 0; i < sched_member_count; i++) {
        uint32_t waiting =
            atomic_load_explicit(&sched_cores[sched_members[i]].waiting, memory_order_relaxed);
        if (waiting > most) {
            most = waiting;
            index = sched_members[i];
        }
    }
    if (most > 0)
        sched_wake_core(index);
}

bool core_next_for(const struct vcpu *vcpu, uint32_t *index)
{
    uint32_t here = 0;
    while (sched_members[here] != cpu_index())
        here++;
    for (uint32_t i = 1; i < sched_member_count; i++) {
        *index = sched_members[(here + i) % sched_member_count];
        if (vcpu_may_run_on(vcpu, *index))
            return true;
    }
    return false;
}

void core_offer(void)
{
    (void)mark_idle(cpu_index(), true);
    ask_for_work();
}

void core_take_back_offer(void)
{
    (void)mark_idle(cpu_index(), false);
}
