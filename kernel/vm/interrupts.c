/* SPDX-License-Identifier: MIT */
/* Delivery of interrupts, by software or, with APIC virtualisation, by the processor: then this
 * code only says what is requested (RVI), and the processor weighs priorities, injects and takes
 * EOIs without an exit (SDM 29.2). NMIs go in by software either way. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/interrupts.h"

#include "kernel/lib/x86.h"
#include "kernel/vm/sched.h"

void interrupts_post(struct vcpu *vcpu, uint8_t vector)
{
    if (!vapic_post(&vcpu->apic, vector))
        return;
    /* seq_cst, like its stores: who goes to sleep looks once more for what was posted before */
    if (vector >> 4 > atomic_load(&vcpu->hears))
        sched_post(vcpu, REQUEST_LOOK);
}

/* The state of a vCPU to which nothing is on the way; false while something is. Requests first:
 * they are cleared behind the state that they led to. */
static bool is_settled_in(const struct vcpu *vcpu, bool created)
{
    return atomic_load(&vcpu->requests) == 0 &&
           (__atomic_load_n(&vcpu->state, __ATOMIC_ACQUIRE) == VCPU_CREATED) == created;
}

static void send_to(struct vcpu *from, struct vcpu *to, const struct vapic_ipi *ipi)
{
    /* What has no effect costs the receiver's core nothing, however often it is sent: anything but
     * a SIPI while it waits for its start, a SIPI while it runs (SDM Vol. 3A, 8.4.3). */
    if (is_settled_in(to, ipi->delivery != VAPIC_SIPI))
        return;
    switch (ipi->delivery) {
    case VAPIC_FIXED:
    case VAPIC_LOWEST:
        if (to != from) {
            interrupts_post(to, ipi->vector);
            return;
        }
        (void)vapic_post(&to->apic, ipi->vector);
        to->vmx.attention = true;
        return;
    case VAPIC_NMI:
        if (!atomic_exchange(&to->nmi, true)) /* one waits at most, as in a processor */
            sched_post(to, REQUEST_LOOK);
        return;
    case VAPIC_INIT:
        if (to->index == 0)
            vm_stop(from, STOP_GUEST_RESET, NULL, "an INIT to its boot vCPU");
        else
            sched_post(to, REQUEST_INIT);
        return;
    case VAPIC_SIPI:
        if (!vmx_features_of_all()->unrestricted_guest)
            return; /* it cannot run in real mode: ATOLL_CALL_START_VCPU is the way */
        /* relaxed: the request orders it */
        atomic_store_explicit(&to->sipi_page, ipi->vector, memory_order_relaxed);
        sched_post(to, REQUEST_SIPI);
        return;
    }
}

void interrupts_send(struct vcpu *from, const struct vapic_ipi *ipi)
{
    struct vm *vm = from->vm;
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        if (!vapic_is_destination(ipi, from->index, i))
            continue;
        send_to(from, vm->vcpus[i], ipi);
        if (ipi->delivery == VAPIC_LOWEST)
            return; /* one of them gets it */
    }
}

void interrupts_collect(struct vcpu *vcpu)
{
    if (vapic_has_posted(&vcpu->apic))
        (void)vapic_collect(&vcpu->apic);
}

void interrupts_run_timer(struct vcpu *vcpu)
{
    if (vcpu->apic.deadline == VAPIC_NEVER)
        return;
    if (vapic_timer_run(&vcpu->apic, rdtsc() + vcpu->vmx.tsc_offset))
        vcpu->vmx.attention = true;
}

bool interrupts_self(struct vcpu *vcpu, uint64_t vector)
{
    if (vmx_apicv() || vcpu->vmx.attention || atomic_load(&vcpu->nmi) || vector > UINT8_MAX ||
        !vmx_is_open(&vcpu->vmx) || !vapic_take_self_ipi(&vcpu->apic, (uint8_t)vector))
        return false;
    vmx_inject_interrupt(&vcpu->vmx, (uint8_t)vector);
    return true;
}

bool interrupts_end_halt(struct vcpu *vcpu)
{
    interrupts_collect(vcpu);
    int vector = vapic_deliverable(&vcpu->apic);
    if (vector < 0)
        return false;
    if (vmx_apicv() || !vmx_is_open(&vcpu->vmx)) {
        vcpu->vmx.attention = true;
        return true;
    }
    vapic_accept(&vcpu->apic, (uint8_t)vector);
    vmx_inject_interrupt(&vcpu->vmx, (uint8_t)vector);
    vcpu->vmx.attention = false; /* no other can be delivered beside it */
    return true;
}

static int deliverable(struct vcpu *vcpu)
{
    struct vapic *apic = &vcpu->apic;
    if (!vmx_apicv())
        return vapic_deliverable(apic);
    vmx_set_interrupt_status(&vcpu->vmx, vapic_highest_requested(apic),
                             vapic_highest_in_service(apic));
    return VAPIC_NONE;
}

void interrupts_deliver(struct vcpu *vcpu)
{
    vcpu->vmx.attention = false;
    interrupts_collect(vcpu);
    int vector = deliverable(vcpu);
    bool nmi = atomic_load(&vcpu->nmi);
    if (vector < 0 && !nmi && !vcpu->vmx.interrupt_window && !vcpu->vmx.nmi_window)
        return;

    struct vmx_delivered delivered = vmx_deliver(&vcpu->vmx, nmi, vector);
    if (delivered.interrupt)
        vapic_accept(&vcpu->apic, (uint8_t)vector);
    if (delivered.nmi)
        atomic_store(&vcpu->nmi, false);
    else if (nmi && !vmx_features_of_all()->virtual_nmis)
        vcpu->vmx.attention = true; /* there is no window for it: again at the next exit */
}
