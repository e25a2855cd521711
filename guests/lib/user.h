/* SPDX-License-Identifier: MIT */
/* CPL 3 and back: a function of the guest runs as a user would, with all of the image open to it.
 * One vCPU at a time may do it. */
#ifndef GUESTS_LIB_USER_H
#define GUESTS_LIB_USER_H

/* Calls `function` at CPL 3, with interrupts on and a stack of its own; returns when it returns, by
 * an interrupt gate. ATTEMPT works in it, printf does not: a call of the hypervisor from CPL 3 has
 * no effect. Memory above 2 MiB is not open to it. */
void user_run(void (*function)(void *argument), void *argument);

#endif
