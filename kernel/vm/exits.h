/* SPDX-License-Identifier: MIT */
/* What Atoll does about each exit. */
#ifndef KERNEL_VM_EXITS_H
#define KERNEL_VM_EXITS_H

#include "kernel/vm/vm.h"

/* Decides over one exit of a bound vCPU: it goes on, with its state changed as the handler did, or
 * it sleeps, or its VM is stopped. exit->kind is its slot in the statistics (stats.h) then. */
void exit_handle(struct vcpu *vcpu, struct vm_exit *exit);

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
 * instruction leave it to exit_handle to skip it. */
void cpuid_handle(struct vcpu *vcpu);
enum exit_action hypercall_handle(struct vcpu *vcpu, struct vm_exit *exit);
enum exit_action msr_read_handle(struct vcpu *vcpu);
enum exit_action msr_write_handle(struct vcpu *vcpu);
enum exit_action apic_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);
enum exit_action io_handle(struct vcpu *vcpu, const struct vm_exit *exit);

#endif
