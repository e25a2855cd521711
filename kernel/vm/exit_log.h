/* SPDX-License-Identifier: MIT */
/* One line for each exit, decoded: log=exits, log=exits:NAME,..., the monitor's `log exits`. */
#ifndef KERNEL_VM_EXIT_LOG_H
#define KERNEL_VM_EXIT_LOG_H

#include "kernel/lib/text.h"
#include "kernel/options.h"
#include "kernel/vm/exits.h"

/* Takes the options; a name that no exit reason has is reported. */
void exit_log_init(const struct options *options);

/* From now on, on all cores: every exit; none; those of the reasons in `names`, separated by
 * commas. -EINVAL, and nothing changes: no reason is called `*unknown`. */
void exit_log_all(void);
void exit_log_off(void);
MUST_CHECK int exit_log_only(const char *names, struct text *unknown);

bool exit_log_is_on(void);

/* While it is on. */
bool exit_log_wants(uint32_t reason);

/* `gpr` are the guest's registers at the exit, `ticks` the TSC ticks that handling it took. */
void exit_log_line(const struct vcpu *vcpu, const struct vm_exit *exit,
                   const uint64_t gpr[VMX_REGISTERS], enum exit_action action, uint64_t ticks);

#endif
