/* SPDX-License-Identifier: MIT */
/* Writes over the whole of a disk that others have too, and reads it again: what it writes is its
 * own. */
#include "guests/hvt/disk.h"

HVT_DEVICES(HVT_BLOCK("storage"));

static bool write(uint64_t device, uint64_t number)
{
    char block[DISK_BLOCK_SIZE];

    memset(block, '.', sizeof(block));
    int length = snprintf(block, sizeof(block), "mine %lu of %u\n", number, DISK_BLOCKS);
    block[length] = '.';
    return hvt_block_write(device, number * sizeof(block), block, sizeof(block)) == HVT_OK;
}

int main(void)
{
    uint64_t device = device_handle("storage", HVT_DEVICE_BLOCK), written = 0;

    printf("the disk has %lu blocks; %lu are as at first\n",
           device_info(device)->block.capacity / DISK_BLOCK_SIZE,
           disk_blocks_with(device, "block"));
    for (uint64_t i = 0; i < DISK_BLOCKS; i++)
        written += write(device, i);
    uint64_t found = disk_blocks_with(device, "mine");
    printf("%lu blocks written, %lu read again\n", written, found);
    return written == DISK_BLOCKS && found == DISK_BLOCKS ? 0 : 1;
}
