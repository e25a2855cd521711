/* SPDX-License-Identifier: MIT */
/* What make_disk.py wrote on the disk that writer and reader share. */
#ifndef GUESTS_HVT_DISK_H
#define GUESTS_HVT_DISK_H

#include "guests/hvt/lib/guest.h"

#define DISK_BLOCK_SIZE 512
#define DISK_BLOCKS     64

/* Does block `number` hold what "`word` NUMBER of 64" says, and dots behind it? */
static inline bool disk_block_is(uint64_t device, uint64_t number, const char *word)
{
    char block[DISK_BLOCK_SIZE], wanted[64];

    if (hvt_block_read(device, number * sizeof(block), block, sizeof(block)) != HVT_OK)
        return false;
    int length = snprintf(wanted, sizeof(wanted), "%s %lu of %u\n", word, number, DISK_BLOCKS);
    if (memcmp(block, wanted, (size_t)length) != 0)
        return false;
    for (size_t i = (size_t)length; i < sizeof(block); i++) {
        if (block[i] != '.')
            return false;
    }
    return true;
}

/* How many blocks hold that. */
static inline uint64_t disk_blocks_with(uint64_t device, const char *word)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < DISK_BLOCKS; i++)
        count += disk_block_is(device, i, word);
    return count;
}

#endif
