/* SPDX-License-Identifier: MIT */
/* What the shortest way of an exit reads and writes of the current VMCS, inline. Every processor
 * has these fields, and at an exit a VMCS is current: the access cannot fail (SDM 30.3). */
#ifndef VMX_EXIT_PATH_H
#define VMX_EXIT_PATH_H

#include "kernel/lib/x86_bits.h"
#include "vmx/vmcs_fields.h"
#include "vmx/vmx.h"

static inline uint64_t vmx_field(uint16_t encoding)
{
    uint64_t value;
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)encoding) : "cc");
    return value;
}

/* The basic reason; with bit 31, "entry failed", it is none that has a name. */
static inline uint32_t vmx_exit_reason(void)
{
    return (uint32_t)vmx_field(VMCS_EXIT_REASON);
}

static inline uint64_t vmx_exit_qualification(void)
{
    return vmx_field(VMCS_EXIT_QUALIFICATION);
}

/* Code at CPL 0 in a 64-bit segment? The CPL is SS.DPL (SDM 24.4.1); code that is not conforming
 * has its own DPL. */
static inline bool vmx_in_64bit_kernel(void)
{
    uint32_t cs = (uint32_t)vmx_field(VMCS_GUEST_CS_ACCESS);
    if (__builtin_expect(cs & ACCESS_CONFORMING, 0))
        return (cs & ACCESS_L) && ACCESS_DPL((uint32_t)vmx_field(VMCS_GUEST_SS_ACCESS)) == 0;
    return (cs & ACCESS_L) && ACCESS_DPL(cs) == 0;
}

/* From on_exit, as its last word: goes on with handler(vcpu, a, b), and no value of the guest is
 * left in a register (enter.asm). A way of an exit that neither jumps nor looks up memory by such a
 * value may do without it (contract 6 of docs/design.md). */
typedef void vmx_handler(struct vmx_vcpu *vcpu, uint32_t a, uint32_t b);
void vmx_forget(struct vmx_vcpu *vcpu, uint32_t a, uint32_t b, vmx_handler *handler);

/* RIP over the instruction that exited. False where that is not all, as it seldom is not:
 * vmx_skip_rest must follow. */
static inline bool vmx_skip(struct vmx_vcpu *vcpu)
{
    (void)vcpu;
    uint64_t old = vmx_field(VMCS_GUEST_RIP);
    uint64_t rip = old + vmx_field(VMCS_EXIT_INSTRUCTION_LENGTH);
    __asm__ volatile("vmwrite %0, %1" : : "r"(rip), "r"((uint64_t)VMCS_GUEST_RIP) : "cc");
    return __builtin_expect((old ^ rip) >> 32 == 0, 1) &&
           __builtin_expect(!(vmx_field(VMCS_GUEST_RFLAGS) & RFLAGS_TF), 1) &&
           __builtin_expect(!(vmx_field(VMCS_GUEST_INTERRUPTIBILITY) &
                              (BLOCKING_STI | BLOCKING_MOV_SS)), 1);
}

/* The rest of vmx_skip: EIP may have to wrap; the shadow of STI or MOV SS, which covers one
 * instruction, ends; and a guest that single-steps gets its #DB behind it. */
void vmx_skip_rest(struct vmx_vcpu *vcpu);

#endif
