/* SPDX-License-Identifier: MIT */
/* The place where a snapshot is asked for and left. Its lock is held while one is written, so that
 * an answer that nobody wants any more is never written over the next one. */
#include "kernel/vm/inspect.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/lib/spinlock.h"
#include "kernel/vm/sched_core.h"

static struct spinlock result_lock;
static struct vcpu *wanted; /* with the lock; NULL: nobody waits for an answer */
static bool taken;          /* by an inspection; the monitor's core alone */
static _Atomic bool done;
static bool ended; /* the answer: there is no snapshot any more */
static struct inspection result;

int inspect_start(struct vcpu *vcpu)
{
    if (taken)
        return -EBUSY;
    taken = true;
    spin_lock(&result_lock);
    wanted = vcpu;
    atomic_store_explicit(&done, false, memory_order_relaxed);
    spin_unlock(&result_lock);
    sched_post(vcpu, REQUEST_INSPECT);
    return 0;
}

bool inspect_done(void)
{
    /* acquire: with it comes the result */
    return atomic_load_explicit(&done, memory_order_acquire);
}

const struct inspection *inspect_result(void)
{
    return ended ? NULL : &result;
}

void inspect_cancel(void)
{
    spin_lock(&result_lock);
    wanted = NULL;
    atomic_store_explicit(&done, false, memory_order_relaxed);
    spin_unlock(&result_lock);
    taken = false;
}

/* Its VMCS and its registers are there until it is stopped. */
static void take(struct vcpu *vcpu)
{
    vmx_snapshot(&vcpu->vmx, this_core()->bound == vcpu, &result.vmx);
    result.state = vcpu->state;
    result.wait = vcpu->wait;
    result.cpu = cpu_index();
    memcpy(result.name, vcpu->name, sizeof result.name);
}

void inspect_serve(struct vcpu *vcpu)
{
    spin_lock(&result_lock);
    if (wanted == vcpu) { /* else it was cancelled */
        /* relaxed: this core took it for stopped, or has yet to */
        ended = atomic_load_explicit(&vcpu->vm->stop_reason, memory_order_relaxed) != STOP_NONE;
        if (!ended)
            take(vcpu);
        wanted = NULL;
        /* release: see inspect_done */
        atomic_store_explicit(&done, true, memory_order_release);
    }
    spin_unlock(&result_lock);
}
