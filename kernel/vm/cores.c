/* SPDX-License-Identifier: MIT */
/* The cores' common way. The boot processor sets the stage; the others follow it, halted in
 * between, and are awaited for a bounded time. */
#include "kernel/vm/cores.h"

#include <stdatomic.h>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/time.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/x86.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/vm/sched.h"
#include "kernel/vm/signals.h"

#define STEP_TIMEOUT_US 2000000
#define TOUR_TIMEOUT_US 5000000
#define NO_CPU          UINT32_MAX

enum stage { STAGE_WAIT, STAGE_ENABLE, STAGE_RUN };

static _Atomic uint32_t stage;
static _Atomic uint32_t arrived;          /* cores that have done the present stage */
static _Atomic bool enabled[CPUS_MAX];    /* in VMX operation */
static uint32_t members[CPUS_MAX];        /* indices of those that run guests */
static uint32_t member_count;

static _Atomic uint32_t tour_cpu = NO_CPU; /* who is to take the tour */
static _Atomic bool tour_wants_init;

static void wake(uint32_t index)
{
    apic_send(cpus[index]->apic_id, VECTOR_WAKE);
}

static void wake_all(void)
{
    for (uint32_t i = 1; i < cpus_count; i++)
        if (atomic_load_explicit(&cpus[i]->state, memory_order_acquire) == CPU_ONLINE)
            wake(i);
}

static void arrive(void)
{
    atomic_fetch_add_explicit(&arrived, 1, memory_order_release);
}

static uint32_t others_online(void)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < cpus_count; i++)
        count += atomic_load_explicit(&cpus[i]->state, memory_order_acquire) == CPU_ONLINE;
    return count;
}

/* Waits for the others to do a stage. */
static void await_others(const char *what)
{
    uint64_t end = rdtsc() + time_us_to_ticks(STEP_TIMEOUT_US);
    uint32_t expected = others_online();
    while (atomic_load_explicit(&arrived, memory_order_acquire) < expected) {
        if (rdtsc() > end) {
            log_info("only %u of %u other cores %s in time", arrived, expected, what);
            break;
        }
        cpu_pause();
    }
}

static void set_stage(enum stage next)
{
    atomic_store_explicit(&arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&stage, next, memory_order_release);
    wake_all();
}

/* ---- The tour -------------------------------------------------------------------------------- */

/* On the core that takes the tour: have the boot processor send an INIT here. It is halted until
 * asked, so that nothing else moves while A20 is masked. */
static void ask_for_init(void)
{
    atomic_store_explicit(&tour_wants_init, true, memory_order_release);
    wake(0);
    while (atomic_load_explicit(&tour_wants_init, memory_order_acquire))
        cpu_pause();
}

static void take_tour(void)
{
    vmx_tour(ask_for_init);
    atomic_store_explicit(&tour_cpu, NO_CPU, memory_order_release);
    wake(0);
}

void cores_tour(void)
{
    uint32_t spare = cpus_count - 1;
    while (spare > 0 &&
           atomic_load_explicit(&cpus[spare]->state, memory_order_acquire) != CPU_ONLINE)
        spare--;
    if (spare == 0) {
        vmx_tour(NULL);
        return;
    }
    atomic_store_explicit(&tour_cpu, spare, memory_order_release);
    wake(spare);
    uint64_t deadline = rdtsc() + time_us_to_ticks(TOUR_TIMEOUT_US);
    apic_timer_arm(deadline);
    while (atomic_load_explicit(&tour_cpu, memory_order_acquire) != NO_CPU) {
        if (rdtsc() > deadline) {
            log_info("cpu%u does not come back from the tour", spare);
            break;
        }
        if (atomic_load_explicit(&tour_wants_init, memory_order_acquire)) {
            apic_send_init(cpus[spare]->apic_id);
            atomic_store_explicit(&tour_wants_init, false, memory_order_release);
        }
        wait_for_interrupt();
    }
    apic_timer_stop();
}

/* ---- Into VMX operation, into the scheduler, out --------------------------------------------- */

static int enable_vmx(char error[VMX_ERROR_MAX])
{
    struct vmx_features features;
    char text[VMX_ERROR_MAX];
    int status = vmx_cpu_enable(&features, error);
    if (status)
        return status;
    vmx_features_describe(&features, text, sizeof text);
    log_info("VMX on, APIC id %u: %s", this_cpu()->apic_id, text);
    atomic_store_explicit(&enabled[cpu_index()], true, memory_order_release);
    return 0;
}

static void await_stage(enum stage wanted)
{
    while (atomic_load_explicit(&stage, memory_order_acquire) < wanted) {
        if (atomic_load_explicit(&tour_cpu, memory_order_acquire) == cpu_index())
            take_tour();
        else
            wait_for_interrupt();
    }
}

/* Out of VMX operation, where the pending INIT resets this core, and up again through the
 * trampoline, into follow(). */
static void restart(void)
{
    log_info("an INIT stays pending here: this core starts anew");
    if (!signals_request_restart())
        panic("an INIT stays pending on the only core");
    vmx_cpu_disable();
}

/* An application processor's life. */
static void follow(void)
{
    char error[VMX_ERROR_MAX];
    bool again = atomic_load_explicit(&enabled[cpu_index()], memory_order_acquire);
    smp_online();
    await_stage(STAGE_ENABLE);
    bool runs = enable_vmx(error) == 0;
    if (!runs)
        log_info("left out: %s", error);
    if (!again)
        arrive();
    if (!runs)
        return;
    await_stage(STAGE_RUN);
    if (sched_run() == SCHED_RESTART) {
        restart();
        return; /* where the machine has forgotten the INIT, halt: the starter sends another one */
    }
    vmx_cpu_disable();
    arrive();
}

void cores_start(const struct acpi_info *acpi, const struct options *options, hpa_t low_page)
{
    uint32_t running = 1;
    if (low_page.value == 0)
        log_info("no free page below 1 MiB for the trampoline: one core only");
    else
        running = smp_start(acpi->apic_ids, acpi->cpu_count, options->max_cpus, low_page, follow);
    log_info("%u of %u cores are up, %s", running, acpi->cpu_count,
             apic_is_x2apic() ? "x2APIC" : "xAPIC");
}

int cores_enable_vmx(char error[VMX_ERROR_MAX])
{
    int status = enable_vmx(error);
    if (status)
        return status;
    set_stage(STAGE_ENABLE);
    await_others("answered about VMX");
    for (uint32_t i = 0; i < cpus_count; i++)
        if (atomic_load_explicit(&enabled[i], memory_order_acquire))
            members[member_count++] = i;
    return 0;
}

int cores_prepare(const struct options *options)
{
    return sched_init(members, member_count, time_us_to_ticks(options->slice_us));
}

void cores_run(void)
{
    set_stage(STAGE_RUN);
    if (sched_run() == SCHED_RESTART)
        panic("an INIT stays pending on the boot processor");
    uint64_t end = rdtsc() + time_us_to_ticks(STEP_TIMEOUT_US);
    while (atomic_load_explicit(&arrived, memory_order_acquire) + 1 < member_count && rdtsc() < end)
        cpu_pause();
    vmx_cpu_disable();
}
