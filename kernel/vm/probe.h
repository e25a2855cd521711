/* SPDX-License-Identifier: MIT */
/* Signals between cores that a tour guest asks for (ATOLL_CALL_PROBE): INIT, SIPI, NMI, an
 * interrupt, sent by another core while the guest runs. Off unless the option `tour` is given. */
#ifndef KERNEL_VM_PROBE_H
#define KERNEL_VM_PROBE_H

#include "kernel/vm/vm.h"

void probe_enable(void);

/* Returns 0, or the negative errno of the call. */
int64_t probe_request(struct vcpu *vcpu, uint64_t signal);

/* Called by every core in its loop: sends what it was asked to send. */
void probe_serve(void);

/* The SIPI has arrived. */
void probe_sipi_done(void);

#endif
