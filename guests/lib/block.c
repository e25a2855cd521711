/* SPDX-License-Identifier: MIT */
/* Devices by their names, and disks, by Atoll's calls. */
#include "guests/lib/guest.h"

int64_t device_find(enum atoll_device_kind kind, const char *name, struct atoll_device_info *info)
{
    for (int64_t device = 0; atoll_device_info((uint64_t)device, info, sizeof(*info)) > 0; device++)
        if (info->kind == kind && strcmp(info->name, name) == 0)
            return device;
    return -ENOENT;
}

int block_open(struct block *block, const char *name)
{
    struct atoll_device_info info;
    int64_t device = device_find(ATOLL_DEVICE_BLOCK, name, &info);

    if (device < 0)
        return (int)device;
    *block = (struct block){
        .device = (uint64_t)device,
        .block_size = info.block_size,
        .capacity = info.capacity,
        .read_only = info.read_only,
    };
    return 0;
}

int block_read(const struct block *block, uint64_t offset, void *data, size_t size)
{
    int error = 0;

    for (size_t done = 0; done < size && !error; done += ATOLL_BLOCK_MAX)
        error = (int)atoll_block_read(block->device, offset + done, (char *)data + done,
                                      MIN(size - done, ATOLL_BLOCK_MAX));
    return error;
}

int block_write(const struct block *block, uint64_t offset, const void *data, size_t size)
{
    int error = 0;

    for (size_t done = 0; done < size && !error; done += ATOLL_BLOCK_MAX)
        error = (int)atoll_block_write(block->device, offset + done, (const char *)data + done,
                                       MIN(size - done, ATOLL_BLOCK_MAX));
    return error;
}
