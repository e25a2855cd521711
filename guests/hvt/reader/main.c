/* SPDX-License-Identifier: MIT */
/* Reads a disk again and again for `ms=`, while others may write on the same one: for this guest
 * nothing changes. */
#include "guests/hvt/disk.h"

HVT_DEVICES(HVT_BLOCK("storage"));

int main(void)
{
    uint64_t device = device_handle("storage", HVT_DEVICE_BLOCK), rounds = 0;
    uint64_t end = now_ns() + guest_option_number("ms", 30) * 1000000;

    for (; now_ns() < end; rounds++) {
        uint64_t count = disk_blocks_with(device, "block");
        if (count != DISK_BLOCKS) {
            printf("FAILURE: %lu of %u blocks are as at first\n", count, DISK_BLOCKS);
            return 1;
        }
        sleep_ms(1);
    }
    printf("read %lu times: all %u blocks are as at first\n", rounds, DISK_BLOCKS);
    return 0;
}
