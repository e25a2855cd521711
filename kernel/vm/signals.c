/* SPDX-License-Identifier: MIT */
/* A mailbox for one request: the receiving core posts it, another core finds it in its loop. */
#include "kernel/vm/signals.h"

#include <atoll/abi.h>
#include <linux/errno.h>
#include <stdatomic.h>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/time.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/x86.h"
#include "kernel/panic.h"
#include "kernel/vm/sched.h"

#define RESTART    (ATOLL_PROBE_INTERRUPT + 1) /* behind the signals of enum atoll_probe */
#define NOBODY     UINT32_MAX
#define POSTING    (UINT32_MAX - 1)
#define SETTLE_US  500 /* the guest is back from its call by then, even if that is logged */
#define EXIT_US    300 /* a signal that has made no exit by then met the core in root operation */
#define TRIES      8

static bool enabled;
static _Atomic uint32_t sender = NOBODY; /* the core that is to send */
static uint32_t target;                  /* the core that is to receive */
static uint64_t wanted;
static _Atomic bool exited; /* by the signal that was sent */

void signals_enable(void)
{
    enabled = true;
}

bool signals_enabled(void)
{
    return enabled;
}

static int post(uint64_t signal)
{
    uint32_t other;
    /* Where an INIT stays pending, one for the boot processor would reset the machine. */
    if (!sched_other_core(&other) || (signal == ATOLL_PROBE_INIT && cpu_index() == 0))
        return -ENODEV;
    uint32_t nobody = NOBODY;
    if (!atomic_compare_exchange_strong_explicit(&sender, &nobody, POSTING, memory_order_acquire,
                                                 memory_order_relaxed))
        return -EBUSY;
    target = cpu_index();
    wanted = signal;
    /* release: the sender sees the request whole */
    atomic_store_explicit(&sender, other, memory_order_release);
    sched_wake_core(other);
    return 0;
}

int64_t signals_request(uint64_t signal)
{
    if (!enabled)
        return -ENOSYS;
    return signal > ATOLL_PROBE_INTERRUPT ? -EINVAL : post(signal);
}

bool signals_request_restart(void)
{
    int error;
    while ((error = post(RESTART)) == -EBUSY) {
        signals_serve(); /* it may be this core that is asked */
        cpu_pause();
    }
    return error == 0;
}

void signals_exited(void)
{
    atomic_store_explicit(&exited, true, memory_order_relaxed);
}

/* In root operation the core takes an NMI itself and blocks an INIT (SDM 25.2), which Bochs 2.7
 * then drops. The guest that asked is to see an exit: sent until there is one. */
static void send_until_exit(uint32_t apic, void send(uint32_t apic_id))
{
    atomic_store_explicit(&exited, false, memory_order_relaxed);
    for (unsigned tries = 0; tries < TRIES; tries++) {
        send(apic);
        time_delay_us(EXIT_US);
        if (atomic_load_explicit(&exited, memory_order_relaxed))
            break;
    }
}

void signals_serve(void)
{
    if (atomic_load_explicit(&sender, memory_order_acquire) != cpu_index())
        return;
    uint32_t apic = cpus[target]->apic_id;
    time_delay_us(SETTLE_US);
    switch (wanted) {
    case ATOLL_PROBE_INIT:
        send_until_exit(apic, apic_send_init);
        break;
    case ATOLL_PROBE_NMI:
        send_until_exit(apic, apic_send_nmi);
        break;
    case ATOLL_PROBE_INTERRUPT:
        apic_send(apic, VECTOR_WAKE);
        break;
    default:
        if (!smp_restart(cpus[target]) && !smp_restart(cpus[target]))
            panic("cpu%u, hit by an INIT, does not start again: its guests are stranded", target);
        break;
    }
    atomic_store_explicit(&sender, NOBODY, memory_order_release);
}
