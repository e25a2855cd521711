/* SPDX-License-Identifier: MIT */
/* The guest's devices by their names, and its disks. */
#ifndef GUESTS_LIB_BLOCK_H
#define GUESTS_LIB_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atoll/abi.h"

struct block {
    uint64_t device; /* its number in the guest's calls */
    size_t block_size;
    uint64_t capacity; /* bytes */
    bool read_only;
};

/* Returns the number of the device of this kind and name, and fills `info`; or -ENOENT. */
int64_t device_find(enum atoll_device_kind kind, const char *name, struct atoll_device_info *info);

/* Opens the guest's disk of this name. 0 or -ENOENT. */
int block_open(struct block *block, const char *name);

/* Reads or writes `size` bytes at byte `offset` of the disk, both multiples of its block size, in
 * as many calls as it takes. 0, or what the first call that failed returned. */
int block_read(const struct block *block, uint64_t offset, void *data, size_t size);
int block_write(const struct block *block, uint64_t offset, const void *data, size_t size);

#endif
