/* SPDX-License-Identifier: MIT */
/* What the files of the scheduler share: a core as the scheduler sees it, and what is done to its
 * vCPUs. sched.c has the loop, sched_requests.c what cores ask of each other, sched_sleep.c waiting
 * and waking, sched_share.c who runs where. All of it runs on the core itself. */
#ifndef KERNEL_VM_SCHED_CORE_H
#define KERNEL_VM_SCHED_CORE_H

#include "kernel/cpu/cpu.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/vm/sched.h"

STAILQ_HEAD(mailbox, vcpu);

struct core {
    struct spinlock lock;          /* of `mail`, the only list that other cores touch */
    struct mailbox mail;
    _Atomic bool has_mail;
    _Atomic uint32_t waiting;      /* runnable vCPUs without a core, for others to see */
    _Atomic uint32_t adopted;      /* vCPUs that this core has */
    _Atomic uint64_t vtime;        /* how far its vCPUs have come, for others to compare */
    struct run_queue *queue;
    struct timers timers;
    struct vcpu *current;          /* in its slice */
    struct vcpu *bound;            /* whose state is in this core's registers, or NULL */
    uint64_t now;                  /* TSC, when it was read last: exact enough for much */
    uint64_t free_since;           /* TSC at which the choice of `current` began */
    uint64_t end_tsc;              /* of the slice */
    uint64_t stop_tsc;             /* TSC at which the stay of `current` in the guest ends */
    bool rearm;                    /* end_tsc, or the timer of `current`, is new */
    uint64_t compare_at;           /* TSC of the next time that core_share compares with one */
    uint32_t compared;             /* the member that `share` compared with last */
} __attribute__((aligned(64)));

extern struct core sched_cores[CPUS_MAX];
extern const uint32_t *sched_members; /* the indices of the cores that take part */
extern uint32_t sched_member_count;
extern uint64_t sched_longest_slice;  /* TSC ticks */

static inline struct core *this_core(void)
{
    return &sched_cores[cpu_index()];
}

static inline uint64_t core_read_tsc(struct core *core)
{
    return core->now = rdtsc();
}

/* Does a core stand in the set of cpus=? */
static inline bool sched_in_set(const uint64_t set[VM_CORES_MAX / 64], uint32_t index)
{
    _Static_assert(VM_CORES_MAX == CPUS_MAX, "cpus= can name every core");
    return set[index / 64] >> (index % 64) & 1;
}

/* Does this core still have it, or was it given away by what was just done? */
static inline bool vcpu_is_here(const struct vcpu *vcpu)
{
    return atomic_load_explicit(&vcpu->cpu, memory_order_relaxed) == cpu_index();
}

static inline struct vcpu *vcpu_of_entry(struct run_entry *entry)
{
    return entry ? (struct vcpu *)((char *)entry - offsetof(struct vcpu, entry)) : NULL;
}

static inline bool core_has_mail(const struct core *core)
{
    return atomic_load_explicit(&core->has_mail, memory_order_relaxed);
}

/* The next state behind an event, since core->now; a host bug when there is none. */
void vcpu_step(struct vcpu *vcpu, enum vcpu_event event);

/* ---- sched_requests.c: what others ask */

/* Gives a vCPU of this core, which is off it in every way, to core `index`. */
void core_hand_over(struct vcpu *vcpu, uint32_t index);

/* Serves all that lies in the mailbox. The VMCS that was current stays so. */
void core_read_mail(struct core *core);

/* ---- sched_sleep.c: waiting and waking */

/* Is what the vCPU waits for there? */
bool vcpu_wait_is_over(struct vcpu *vcpu);

/* The wait of a vCPU that runs or is to run is over. */
void vcpu_end_wait(struct vcpu *vcpu);

/* When its local APIC's timer fires, in the host's TSC; VAPIC_NEVER. */
uint64_t vcpu_apic_deadline(const struct vcpu *vcpu);

/* From running or runnable, and not queued, to asleep until what it waits for is there. It may be
 * the last one of its VM awake, which then ends. */
void core_put_to_sleep(struct core *core, struct vcpu *vcpu);

/* From asleep to runnable. */
void core_wake(struct core *core, struct vcpu *vcpu);

/* Behind a HLT of this idle core: the sleeper whose APIC's timer has ended it, if nobody else wants
 * the core and its state is in the registers still. It is in its slice then, and its wait is over.
 * NULL: whoever is due goes the long way, through the queue. */
struct vcpu *core_wake_at_once(struct core *core);

/* Counts a vCPU of this core out of those awake if it waits for its start or sleeps for good, or in
 * again, and ends the VM with the last one. `put` requests (0 or 1) that counted are done with. The
 * vCPU may be gone afterwards. */
void core_check_dormant(struct core *core, struct vcpu *vcpu, uint32_t put);

/* ---- sched_share.c: who runs where */

bool vcpu_may_run_on(const struct vcpu *vcpu, uint32_t index);

/* Takes a vCPU's state off this core's registers, whoever's it is. */
void core_unbind(struct core *core);

/* Into the run queue of this core. */
void core_enqueue(struct core *core, struct vcpu *vcpu);

/* A vCPU has become runnable that did not wait: into this queue, or to an idle core. */
void core_place(struct core *core, struct vcpu *vcpu);

/* A runnable vCPU, which is in no queue, to another core. It is not ours any more. */
void core_give(struct core *core, struct vcpu *vcpu, uint32_t index);

/* Out of whatever queue it is in. */
void core_withdraw(struct core *core, struct vcpu *vcpu);

/* The end of a stopped vCPU that is not in its slice: the core forgets it. */
void core_bury(struct core *core, struct vcpu *vcpu);

/* How long the next slice is: the more vCPUs want the core, the shorter. */
uint64_t core_slice_length(const struct core *core);

/* Tells the other cores how many wait here. */
void core_publish(struct core *core);

/* Before or in the slice of `vcpu`: gives waiting vCPUs to idle cores, or to one whose vCPUs have
 * had more. */
void core_share(struct core *core, struct vcpu *vcpu);

/* The core behind this one in the circle of those on which the vCPU may run; false: none. */
bool core_next_for(const struct vcpu *vcpu, uint32_t *index);

/* This core has nothing to do: the others may give it work, and one is asked for it. */
void core_offer(void);

/* Not any more. */
void core_take_back_offer(void);

#endif
