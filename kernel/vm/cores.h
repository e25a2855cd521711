/* SPDX-License-Identifier: MIT */
/* All cores, on their way together: started, in VMX operation, in the scheduler, and out again. */
#ifndef KERNEL_VM_CORES_H
#define KERNEL_VM_CORES_H

#include "kernel/acpi.h"
#include "kernel/options.h"
#include "vmx/vmx.h"

/* Starts the application processors that ACPI names; they wait. `low_page` is a page below 1 MiB
 * for the trampoline, 0: none, and then the boot processor stays alone. */
void cores_start(const struct acpi_info *acpi, const struct options *options, hpa_t low_page);

/* The host's half of the tour, on a core that is not yet in VMX operation: the last one started,
 * so that the boot processor can send it an INIT; or this one, if it is alone. */
void cores_tour(void);

/* Every core enters VMX root operation, one log line each. A core that cannot is left out; when it
 * is the boot processor, returns its error with one line in `error`. */
MUST_CHECK int cores_enable_vmx(char error[VMX_ERROR_MAX]);

/* Prepares the scheduler for guests on the cores that are in VMX operation. 0 or -ENOMEM. */
MUST_CHECK int cores_prepare(const struct options *options);

/* Lets all cores run guests, this one included, until the last guest has ended. Afterwards all have
 * left VMX operation, and the others have halted. */
void cores_run(void);

#endif
