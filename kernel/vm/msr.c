/* SPDX-License-Identifier: MIT */
/* MSRs that exit: a short allow-list, #GP for everything else. The MSRs that a guest reaches
 * without an exit are listed in vmx/vcpu.c. */
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/vm/exits.h"

enum exit_action msr_read_handle(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->vmx.gpr;
    uint64_t value;
    switch ((uint32_t)gpr[VMX_RCX]) {
    case MSR_EFER:
        value = vmx_efer(&vcpu->vmx);
        break;
    case MSR_TSC:
        value = rdtsc() + vcpu->vmx.tsc_offset;
        break;
    default:
        return ACTION_GP;
    }
    gpr[VMX_RAX] = (uint32_t)value;
    gpr[VMX_RDX] = value >> 32;
    return ACTION_RESUME;
}

enum exit_action msr_write_handle(struct vcpu *vcpu)
{
    const uint64_t *gpr = vcpu->vmx.gpr;
    uint64_t value = (uint32_t)gpr[VMX_RAX] | gpr[VMX_RDX] << 32;
    switch ((uint32_t)gpr[VMX_RCX]) {
    case MSR_EFER:
        return vmx_write_efer(&vcpu->vmx, value) ? ACTION_GP : ACTION_RESUME;
    default:
        return ACTION_GP;
    }
}
