/* SPDX-License-Identifier: MIT */
/* H01: addresses and lengths at and beyond the edges of RAM, and that wrap, for all calls that
 * take them. Expected: -EFAULT or another error, but for exactly what lies in RAM. */
#include "tests/hostile/hostile.h"

#define DISK   0 /* the row's devices */
#define NET    1
#define SECTOR 512

static uint8_t sector[SECTOR];

/* Of the calls for devices, and the start of a vCPU. */
static void try_devices(uint64_t place, uint64_t size)
{
    int64_t result = atoll_call3(ATOLL_CALL_DEVICE_INFO, DISK, place, size);

    expect(result == -EFAULT, "device info of %lx at %lx: %ld", size, place, result);
    result = atoll_call4(ATOLL_CALL_BLOCK_READ, DISK, 0, place, size);
    expect(result == -EINVAL || result == -EFAULT, "a read of %lx to %lx: %ld", size, place, result);
    result = atoll_call4(ATOLL_CALL_BLOCK_WRITE, DISK, 0, place, size);
    expect(result == -EINVAL || result == -EFAULT, "a write of %lx at %lx: %ld", size, place,
           result);
    result = atoll_call4(ATOLL_CALL_BLOCK_READ, DISK, size, (uintptr_t)sector, SECTOR);
    expect(result == (size == 4096 ? 0 : -EINVAL), "a read at byte %lx: %ld", size, result);
    result = atoll_call3(ATOLL_CALL_NET_WRITE, NET, place, size);
    expect(result == -EINVAL || result == -EFAULT, "a frame of %lx at %lx: %ld", size, place,
           result);
    result = atoll_call3(ATOLL_CALL_NET_READ, NET, place, size);
    expect(result == -EFAULT, "a frame to %lx at %lx: %ld", size, place, result);
    result = atoll_call3(ATOLL_CALL_START_VCPU, 0, place, size);
    expect(result < 0, "a start at %lx: %ld", place, result);
}

/* `before` bytes before the end of RAM, and one byte further. */
static void try_devices_at_end(uint64_t end)
{
    expect(atoll_call4(ATOLL_CALL_BLOCK_WRITE, DISK, 0, end - SECTOR, SECTOR) == 0, "a write");
    expect(atoll_call4(ATOLL_CALL_BLOCK_READ, DISK, 0, end - SECTOR, SECTOR) == 0, "a read");
    expect(atoll_call4(ATOLL_CALL_BLOCK_WRITE, DISK, 0, end - SECTOR + 1, SECTOR) == -EFAULT,
           "a write from beyond the end");
    expect(atoll_call4(ATOLL_CALL_BLOCK_READ, DISK, 0, end - SECTOR + 1, SECTOR) == -EFAULT,
           "a read to beyond the end");
    expect(atoll_call3(ATOLL_CALL_NET_WRITE, NET, end - 64, 64) == 0, "a frame");
    expect(atoll_call3(ATOLL_CALL_NET_WRITE, NET, end - 63, 64) == -EFAULT,
           "a frame from beyond the end");
    expect(atoll_call3(ATOLL_CALL_NET_READ, NET, end - 63, 64) == -EFAULT,
           "a frame to beyond the end");
}

CASE(h01)
{
    uint64_t end = guest_ram_end();
    const uint64_t places[] = {end, end + 8, end + PAGE_SIZE, 0xa0000000, 0xfee00000, 4 * GIB - 1,
                               4 * GIB, BIT(39), BIT(47), BIT(52), BIT(63), UINT64_MAX,
                               UINT64_MAX - 7, UINT64_MAX - 4095};
    static const uint64_t sizes[] = {1, 8, 4095, 4096, 4097, BIT(31), BIT(32), BIT(63), UINT64_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
            uint64_t place = places[i], size = sizes[j];
            int64_t result = atoll_call2(ATOLL_CALL_CONSOLE_WRITE, place, size);
            expect(result == (size > ATOLL_CONSOLE_MAX ? -EINVAL : -EFAULT),
                   "console write of %lx at %lx: %ld", size, place, result);
            result = atoll_call2(ATOLL_CALL_VM_INFO, place, size);
            expect(result == -EFAULT, "VM info of %lx at %lx: %ld", size, place, result);
            result = atoll_call2(ATOLL_CALL_CONSOLE_READ, place, size);
            expect(result == 0 || result == -EFAULT, "console read of %lx at %lx: %ld", size,
                   place, result);
            result = atoll_call3(ATOLL_CALL_VM_STATE, 0, place, size);
            expect(result == -EPERM, "VM state without control: %ld", result);
            result = atoll_call3(ATOLL_CALL_LINK_INFO, 0, place, size);
            expect(result == -EFAULT, "link info of %lx at %lx: %ld", size, place, result);
            try_devices(place, size);
        }
    }
    for (uint64_t size = 1; size <= 64; size++) { /* up to the very end */
        int64_t result = atoll_call2(ATOLL_CALL_VM_INFO, end - size, size);
        expect(result == (int64_t)size, "VM info of %lu at the end: %ld", size, result);
        result = atoll_call2(ATOLL_CALL_VM_INFO, end - size, size + 1);
        expect(result == -EFAULT, "one byte more: %ld", result);
    }
    try_devices_at_end(end);
    expect(atoll_call2(ATOLL_CALL_CONSOLE_WRITE, end, 0) <= 0, "nothing at the end");
    expect(atoll_call2(ATOLL_CALL_VM_INFO, UINT64_MAX, 0) <= 0, "nothing at -1");
}
