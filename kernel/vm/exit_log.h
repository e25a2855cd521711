/* SPDX-License-Identifier: MIT */
/* One line for each exit (log=exits, log=exits:NAME,...), decoded. */
#ifndef KERNEL_VM_EXIT_LOG_H
#define KERNEL_VM_EXIT_LOG_H

#include "kernel/options.h"
#include "kernel/vm/exits.h"

extern bool exit_log_on;

/* Takes the options; a name that no exit reason has is reported. */
void exit_log_init(const struct options *options);

bool exit_log_wants(uint32_t reason);

/* `gpr` are the guest's registers at the exit, `ticks` the TSC ticks that handling it took. */
void exit_log_line(const struct vcpu *vcpu, const struct vm_exit *exit,
                   const uint64_t gpr[VMX_REGISTERS], enum exit_action action, uint64_t ticks);

#endif
