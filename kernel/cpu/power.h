/* SPDX-License-Identifier: MIT */
/* The ways out of the machine: power-off and reset, each tried in turn, halting if none works. */
#ifndef KERNEL_CPU_POWER_H
#define KERNEL_CPU_POWER_H

#include "kernel/acpi.h"

/* Keeps what the ways out need of the ACPI tables. */
void power_init(const struct acpi_info *acpi);

_Noreturn void power_off(void);
_Noreturn void power_reboot(void);

#endif
