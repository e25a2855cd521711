/* SPDX-License-Identifier: MIT */
/* The names of the calls of include/atoll/abi.h, for people. Pure. */
#ifndef KERNEL_VM_HYPERCALL_NAMES_H
#define KERNEL_VM_HYPERCALL_NAMES_H

#include "kernel/lib/types.h"

/* "console_write"; NULL for a number that is no call. */
const char *hypercall_name(uint64_t number);

#endif
