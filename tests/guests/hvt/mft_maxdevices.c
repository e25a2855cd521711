/* SPDX-License-Identifier: MIT */
/* As many devices as a manifest can declare: each has its handle and its size. */
#include "guests/hvt/lib/guest.h"

#define TEN(tens)                                                                                  \
    HVT_BLOCK("storage" tens "0"), HVT_BLOCK("storage" tens "1"), HVT_BLOCK("storage" tens "2"),   \
        HVT_BLOCK("storage" tens "3"), HVT_BLOCK("storage" tens "4"),                              \
        HVT_BLOCK("storage" tens "5"), HVT_BLOCK("storage" tens "6"),                              \
        HVT_BLOCK("storage" tens "7"), HVT_BLOCK("storage" tens "8"),                              \
        HVT_BLOCK("storage" tens "9")
#define DEVICES 63

HVT_DEVICES(TEN(""), TEN("1"), TEN("2"), TEN("3"), TEN("4"), TEN("5"), HVT_BLOCK("storage60"),
            HVT_BLOCK("storage61"), HVT_BLOCK("storage62"));

int main(void)
{
    static char block[512];

    for (unsigned i = 0; i < DEVICES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "storage%u", i);
        uint64_t handle = device_handle(name, HVT_DEVICE_BLOCK);
        const struct hvt_manifest_entry *info = device_info(handle);
        if (handle != i + 1 || !info->attached || info->block.capacity != 4096 ||
            info->block.block_size != sizeof(block))
            return 1;
        snprintf(block, sizeof(block), "%s", name);
        if (hvt_block_write(handle, 0, block, sizeof(block)) != HVT_OK)
            return 2;
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "storage%u", i);
        if (hvt_block_read(i + 1, 0, block, sizeof(block)) != HVT_OK || strcmp(block, name) != 0)
            return 3;
    }
    printf("SUCCESS\n");
    return 0;
}
