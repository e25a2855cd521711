/* SPDX-License-Identifier: MIT */
/* Where VMs are found: all in their order, and by number and by name at the same cost, however many
 * there are. Filled at boot; from then on nobody changes it, and there is no lock. */
#ifndef KERNEL_VM_VM_INDEX_H
#define KERNEL_VM_VM_INDEX_H

#include <sys/queue.h>

#include "kernel/lib/types.h"

#define VM_COUNT_MAX 65536 /* the trace has 16 bits for a number */

struct vm;

STAILQ_HEAD(vm_list, vm);
extern struct vm_list vms; /* all that were ever named in a module, in that order */

/* Puts a VM behind all others and numbers it. 0, or -ENOMEM. */
MUST_CHECK int vm_index_add(struct vm *vm);

/* Lets it be found by its name. 0, or -EEXIST: another one has the name. */
MUST_CHECK int vm_index_name(struct vm *vm);

/* By number; NULL: there is none. */
struct vm *vm_by_id(uint64_t id);

/* By name, of `length` bytes. */
struct vm *vm_by_name(const char *name, size_t length);

#endif
