/* SPDX-License-Identifier: MIT */
/* MSRs that exit: a short allow-list, #GP for everything else. The MSRs that a guest reaches
 * without an exit are listed in vmx/vcpu.c. */
#include "kernel/lib/hot_path.h"

#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/vm/exits.h"
#include "kernel/vm/interrupts.h"
#include "kernel/vm/sched.h"

static bool is_apic(uint32_t msr)
{
    return (msr >= VAPIC_MSR_FIRST && msr <= VAPIC_MSR_LAST) || msr == MSR_TSC_DEADLINE;
}

static uint64_t guest_tsc(const struct vcpu *vcpu)
{
    return rdtsc() + vcpu->vmx.tsc_offset;
}

enum exit_action msr_read_handle(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->vmx.gpr;
    uint32_t msr = (uint32_t)gpr[VMX_RCX];
    uint64_t value;
    switch (msr) {
    case MSR_EFER:
        value = vmx_efer(&vcpu->vmx);
        break;
    case MSR_TSC:
        value = guest_tsc(vcpu);
        break;
    case MSR_APIC_BASE:
        value = vapic_base(&vcpu->apic);
        break;
    default:
        if (!is_apic(msr) || !vapic_read(&vcpu->apic, msr, guest_tsc(vcpu), &value))
            return ACTION_GP;
    }
    gpr[VMX_RAX] = (uint32_t)value;
    gpr[VMX_RDX] = value >> 32;
    return ACTION_RESUME;
}

enum exit_action apic_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
    struct vapic_ipi ipi;
    switch (vapic_write(&vcpu->apic, msr, value, guest_tsc(vcpu), &ipi)) {
    case VAPIC_GP:
        return ACTION_GP;
    case VAPIC_DONE:
        break;
    case VAPIC_EVALUATE:
        vcpu->vmx.attention = true;
        break;
    case VAPIC_TIMER: /* it may have been due: its interrupt is requested then */
        vcpu->vmx.attention = true;
        sched_timer_changed(vcpu);
        break;
    case VAPIC_SEND:
        interrupts_send(vcpu, &ipi);
        if (vcpu->state == VCPU_STOPPED)
            return ACTION_STOP;
        break;
    }
    return ACTION_RESUME;
}

enum exit_action msr_write_handle(struct vcpu *vcpu)
{
    const uint64_t *gpr = vcpu->vmx.gpr;
    uint32_t msr = (uint32_t)gpr[VMX_RCX];
    uint64_t value = (uint32_t)gpr[VMX_RAX] | gpr[VMX_RDX] << 32;
    switch (msr) {
    case MSR_EFER:
        return vmx_write_efer(&vcpu->vmx, value) ? ACTION_GP : ACTION_RESUME;
    case MSR_APIC_BASE: /* it stays where and as it is */
        return value == vapic_base(&vcpu->apic) ? ACTION_RESUME : ACTION_GP;
    default:
        return is_apic(msr) ? apic_write(vcpu, msr, value) : ACTION_GP;
    }
}
