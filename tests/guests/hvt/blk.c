/* SPDX-License-Identifier: MIT */
/* A disk: what was written is read again, up to its last block and not beyond. Blocks and their
 * boundaries are what Solo5's bindings insist on; the call takes any bytes of the disk. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES(HVT_BLOCK("storage"));

static uint64_t storage;
static struct {
    uint64_t capacity;
    uint16_t block_size;
} info;

static uint8_t written[32768], read[32768];

static bool starts_empty(void)
{
    if (hvt_block_read(storage, 0, read, info.block_size) != HVT_OK)
        return false;
    for (size_t i = 0; i < info.block_size; i++) {
        if (read[i] != 0)
            return false;
    }
    return true;
}

static bool check(uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++)
        written[i] = (uint8_t)('0' + (i + offset) % 41);
    memset(read, 0, size);
    return hvt_block_write(storage, offset, written, size) == HVT_OK &&
           hvt_block_read(storage, offset, read, size) == HVT_OK &&
           memcmp(written, read, size) == 0;
}

/* Both calls, for one that is not to be allowed. */
static bool refused(uint64_t handle, uint64_t offset, size_t size)
{
    return hvt_block_write(handle, offset, written, size) == HVT_INVALID &&
           hvt_block_read(handle, offset, read, size) == HVT_INVALID;
}

static int run(void)
{
    if (!starts_empty())
        return 2;
    for (uint64_t offset = 0; offset < info.capacity; offset += 10 * info.block_size) {
        if (!check(offset, info.block_size))
            return 3;
    }
    if (!check(info.capacity - info.block_size, info.block_size))
        return 4;
    if (!check(0, info.block_size - 1) || !check(info.capacity - 1, 1) ||
        !check(info.capacity / 2 - 7, MIN(info.block_size, info.capacity / 2)))
        return 5;
    if (hvt_block_read(storage, info.capacity - 1, read, 0) != HVT_OK)
        return 6;
    if (!refused(storage, info.capacity, info.block_size) || !refused(storage, info.capacity, 0) ||
        !refused(storage, info.capacity - 1, 2) || !refused(storage, UINT64_MAX, 1) ||
        !refused(storage, UINT64_MAX - 511, 512))
        return 7;
    if (!refused(0, 0, info.block_size) || !refused(storage + 1, 0, info.block_size) ||
        !refused(UINT64_MAX, 0, info.block_size))
        return 8;
    return 0;
}

int main(void)
{
    storage = device_handle("storage", HVT_DEVICE_BLOCK);
    info.capacity = device_info(storage)->block.capacity;
    info.block_size = device_info(storage)->block.block_size;
    printf("%lu bytes in blocks of %u\n", info.capacity, info.block_size);
    int status = run();
    printf("%s\n", status ? "FAILURE" : "SUCCESS");
    return status;
}
