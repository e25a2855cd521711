/* SPDX-License-Identifier: MIT */
/* What Atoll does about each exit. */
#ifndef KERNEL_VM_EXITS_H
#define KERNEL_VM_EXITS_H

#include "kernel/vm/vm.h"

/* Before a stay in the guest: sets vmx.on_exit. What stands there decides over an exit, changes the
 * guest's state accordingly and records what it cost; then it enters the guest again, or, where the
 * scheduler is to look first, returns. Exits are watched, or no longer, from the next stay on. */
void exit_choose(struct vcpu *vcpu);

/* What a handler decided: the last words of the exit's log line. */
enum exit_action {
    ACTION_RESUME,  /* the instruction was carried out, or there was nothing to do */
    ACTION_UD,      /* #UD: as a processor that lacks the instruction */
    ACTION_GP,      /* #GP(0) */
    ACTION_REFLECT, /* the guest's own exception is given back to it */
    ACTION_RETRY,   /* the instruction is executed again: what it needs is there now */
    ACTION_SLEEP,
    ACTION_YIELD,   /* another vCPU's turn */
    ACTION_HOST,    /* it was for the host; the guest did not notice */
    ACTION_STOP,
};

/* The parts that have files of their own. Each returns what was decided; those that carry out an
 * instruction leave it to their caller to skip it. */
void cpuid_handle(struct vcpu *vcpu);

/* Before the first vCPU: finds the answers of CPUID that are the same for every vCPU. */
void cpuid_init(void);

/* These answers, of basic leaves that ignore ECX. */
#define CPUID_SAME_MAX 0x16u
struct cpuid_same {
    uint32_t eax, ebx, ecx, edx;
    bool known;
} __attribute__((aligned(32))); /* an index is one shift */
extern struct cpuid_same cpuid_same[CPUID_SAME_MAX + 1];

/* cpuid_handle for them; false: it is another leaf, and nothing was done. */
static inline bool cpuid_handle_same(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->vmx.gpr;
    const size_t leaf = *(const volatile uint32_t *)&gpr[VMX_RAX];
    if (leaf > CPUID_SAME_MAX)
        return false;
    const struct cpuid_same *answer = &cpuid_same[leaf];
    if (!answer->known)
        return false;
    gpr[VMX_RAX] = answer->eax;
    gpr[VMX_RBX] = answer->ebx;
    gpr[VMX_RCX] = answer->ecx;
    gpr[VMX_RDX] = answer->edx;
    return true;
}
enum exit_action hypercall_handle(struct vcpu *vcpu); /* of a guest that may make calls */
enum exit_action msr_read_handle(struct vcpu *vcpu);
enum exit_action msr_write_handle(struct vcpu *vcpu);
enum exit_action apic_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);
enum exit_action io_handle(struct vcpu *vcpu, uint64_t qualification);

/* Writes to all other ports vanish. */
#define PORT_KEYBOARD 0x64
#define PORT_SYSTEM_A 0x92
#define PORT_RESET    0xcf9
static inline bool io_is_vacant(uint16_t port)
{
    return port != PORT_KEYBOARD && port != PORT_SYSTEM_A && port != PORT_RESET;
}

#endif
