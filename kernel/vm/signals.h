/* SPDX-License-Identifier: MIT */
/* Signals from one core to another, sent by the other one: what a tour guest asks for
 * (ATOLL_CALL_PROBE), and the restart of a core that cannot get rid of an INIT. */
#ifndef KERNEL_VM_SIGNALS_H
#define KERNEL_VM_SIGNALS_H

#include "kernel/lib/types.h"

/* Allows ATOLL_CALL_PROBE: the option `tour`. */
void signals_enable(void);
bool signals_enabled(void);

/* Asks another core to send `signal` (enum atoll_probe) to the calling one, soon. Returns 0, or
 * the negative errno of the call. */
int64_t signals_request(uint64_t signal);

/* Asks another core to start the calling one again by INIT-SIPI-SIPI. The caller halts then. False
 * when there is no other core. */
MUST_CHECK bool signals_request_restart(void);

/* On the core that was hit by an INIT or NMI: it made its guest exit and need not be sent again. */
void signals_exited(void);

/* Called by every core in its loop: sends what it was asked to send. */
void signals_serve(void);

#endif
