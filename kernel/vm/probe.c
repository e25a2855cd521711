/* SPDX-License-Identifier: MIT */
/* One request at a time, from the core of a guest to another one. */
#include "kernel/vm/probe.h"

#include <atoll/abi.h>
#include <linux/errno.h>
#include <stdatomic.h>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/x86.h"
#include "kernel/vm/sched.h"

#define ACTIVITY_WAIT_FOR_SIPI 3
#define SIPI_PAGE              0x9a /* any: the vector is only shown */
#define SIPI_INTERVAL_US       200
#define SIPI_TRIES             500
#define SETTLE_US              50 /* the guest is back from its call by then */

#define NO_REQUEST UINT32_MAX

static bool enabled;
static _Atomic uint32_t sender = NO_REQUEST; /* the core that is to send */
static uint32_t target;                      /* index of the core that is to receive */
static uint64_t signal;
static _Atomic bool sipi_done;

void probe_enable(void)
{
    enabled = true;
}

int64_t probe_request(struct vcpu *vcpu, uint64_t wanted)
{
    uint32_t other;
    if (!enabled)
        return -ENOSYS;
    if (wanted > ATOLL_PROBE_INTERRUPT)
        return -EINVAL;
    if (!sched_other_core(&other))
        return -ENODEV;
    if (atomic_load_explicit(&sender, memory_order_acquire) != NO_REQUEST)
        return -EBUSY;
    target = cpu_index();
    signal = wanted;
    if (wanted == ATOLL_PROBE_SIPI) {
        atomic_store_explicit(&sipi_done, false, memory_order_relaxed);
        vmx_set_activity(&vcpu->vmx, ACTIVITY_WAIT_FOR_SIPI);
    }
    /* release: the sender sees the request whole */
    atomic_store_explicit(&sender, other, memory_order_release);
    sched_wake_core(other);
    return 0;
}

/* A processor that is not yet waiting loses a SIPI (SDM Vol. 3A, 8.4.2): repeat until it came. */
static void send_sipi(uint32_t apic)
{
    for (uint32_t i = 0; i < SIPI_TRIES; i++) {
        if (atomic_load_explicit(&sipi_done, memory_order_acquire))
            return;
        apic_send_startup(apic, SIPI_PAGE);
        time_delay_us(SIPI_INTERVAL_US);
    }
}

void probe_serve(void)
{
    if (atomic_load_explicit(&sender, memory_order_acquire) != cpu_index())
        return;
    uint32_t apic = cpus[target]->apic_id;
    time_delay_us(SETTLE_US);
    switch (signal) {
    case ATOLL_PROBE_INIT:
        apic_send_init(apic);
        break;
    case ATOLL_PROBE_SIPI:
        send_sipi(apic);
        break;
    case ATOLL_PROBE_NMI:
        apic_send_nmi(apic);
        break;
    default:
        apic_send(apic, VECTOR_WAKE);
        break;
    }
    atomic_store_explicit(&sender, NO_REQUEST, memory_order_release);
}

void probe_sipi_done(void)
{
    atomic_store_explicit(&sipi_done, true, memory_order_release);
}
