/* SPDX-License-Identifier: MIT */
/* The block and network devices of a VM, as its module line attaches them: made once, at boot,
 * started and stopped with each life of the VM. */
#ifndef KERNEL_VM_DEVICES_H
#define KERNEL_VM_DEVICES_H

#include "kernel/vm/block.h"
#include "kernel/vm/module_line.h"
#include "kernel/vm/switch.h"

struct device {
    struct device_config config;
    struct block block; /* of DEVICE_BLOCK */
    struct port *port;  /* of DEVICE_NET */
};

/* All of a VM: vm->devices, NULL where there are none. Its numbers are those of the module line. */
struct devices {
    struct spinlock lock;   /* of the pool and of what the disks have from it */
    struct frame_pool pool; /* for what the guest writes to its disks */
    uint32_t count;
    struct device device[];
};

/* At boot: makes the VM's devices, vm->config.device_count of them. 0, or a negative errno with one
 * line in `error`. */
MUST_CHECK int devices_create(struct vm *vm, const struct device_config *configs,
                              char error[MODULE_LINE_ERROR_MAX]);

/* At each start of the VM: disks are as at boot. 0, or -ENOMEM and nothing is kept. */
MUST_CHECK int devices_start(struct vm *vm);

/* Behind that, when its vCPUs are made: queues are empty, and frames may come. */
void devices_open(struct vm *vm);

/* At its end: no frame reaches the VM when this returns. */
void devices_stop(struct vm *vm);

/* The VM stopped for good, or never starts: nobody waits for its frames any more. */
void devices_give_up(struct vm *vm);

/* When nothing of the VM runs any more: gives back what the guest wrote to its disks. */
void devices_free(struct vm *vm);

/* Device `number`, if it is of that kind; else NULL. */
struct device *device_at(const struct vm *vm, uint64_t number, enum device_kind kind);

/* Can a frame interrupt a vCPU of the VM? Then a guest that sleeps without a timer is not dead. */
bool devices_can_wake(const struct vm *vm);

/* The call of the guest ABI; returns what the call returns. */
int64_t device_info(struct vm *vm, uint64_t number, gpa_t address, uint64_t size);

#endif
