/* SPDX-License-Identifier: MIT */
/* Faults on purpose (selftest=faults): a guest asks that the hypervisor breaks something of its
 * own, and the suite of hostile guests looks at how that is noticed. */
#ifndef KERNEL_VM_FAULTS_H
#define KERNEL_VM_FAULTS_H

#include "kernel/lib/types.h"

struct vcpu;

/* Allows ATOLL_PROBE_FAULT. */
void faults_enable(void);

/* Fault `fault` (enum atoll_fault) of the bound vCPU. Returns what the call returns, if it does. */
int64_t faults_request(struct vcpu *vcpu, uint64_t fault, uint64_t detail);

#endif
