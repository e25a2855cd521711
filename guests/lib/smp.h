/* SPDX-License-Identifier: MIT */
/* Several vCPUs: which there are, and how to run a function on another. */
#ifndef GUESTS_LIB_SMP_H
#define GUESTS_LIB_SMP_H

#define VCPUS_MAX 64

/* vCPUs of this guest, numbered from 0; number 0 runs main. */
unsigned vcpu_count(void);

/* The number of the vCPU that asks. */
unsigned vcpu_index(void);

/* Runs entry(argument) on vCPU `index` with a stack of its own (32 KiB), interrupts on; when entry
 * returns, the vCPU halts for ever, and may be started again. It is started by INIT and SIPIs, or
 * where the hypervisor has none, or with start=call on the guest's command line, by
 * ATOLL_CALL_START_VCPU. Returns 0 when it has come up; -EINVAL for vCPU 0 and one that is not
 * there, -EBUSY while its entry still runs, -ENOMEM, -ETIMEDOUT. One caller at a time. */
int vcpu_start(unsigned index, void (*entry)(void *argument), void *argument);

/* The same for a vCPU that may still run: INIT takes it away from whatever it does. */
int vcpu_restart(unsigned index, void (*entry)(void *argument), void *argument);

/* Has the function that vCPU `index` was started with returned, or was there none? */
bool vcpu_is_idle(unsigned index);

#endif
