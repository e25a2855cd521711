/* SPDX-License-Identifier: MIT */
/* H05: links, devices, vCPUs and VMs by numbers that are none of its own. Expected: -ENOENT,
 * -EINVAL or -EPERM, never another one's. */
#include "tests/hostile/hostile.h"

CASE(h05)
{
    static const uint64_t numbers[] = {0, 1, 2, 63, 64, 255, BIT(31), BIT(32), BIT(32) + 1, BIT(63),
                                       UINT64_MAX};
    static uint8_t buffer[ATOLL_BLOCK_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uint64_t n = numbers[i], at = (uintptr_t)buffer;
        expect(atoll_call3(ATOLL_CALL_LINK_INFO, n, at, 64) == -ENOENT, "link %lx", n);
        expect(atoll_link_vector(n, 64) == -ENOENT, "link %lx", n);
        expect(atoll_link_ring(n, 0) == -ENOENT, "link %lx", n);
        expect(atoll_link_poll(n) == -ENOENT, "link %lx", n);
        expect(atoll_call3(ATOLL_CALL_DEVICE_INFO, n, at, 64) == -ENOENT, "device %lx", n);
        expect(atoll_block_read(n, 0, buffer, 512) == -ENOENT, "disk %lx", n);
        expect(atoll_block_write(n, 0, buffer, 512) == -ENOENT, "disk %lx", n);
        expect(atoll_net_read(n, buffer, 1514) == -ENOENT, "network %lx", n);
        expect(atoll_net_write(n, buffer, 64) == -ENOENT, "network %lx", n);
        expect(atoll_net_vector(n, 64) == -ENOENT, "network %lx", n);
        expect(atoll_call3(ATOLL_CALL_VM_STATE, n, at, 64) == -EPERM, "state of VM %lx", n);
        for (uint64_t operation = 0; operation < 6; operation++)
            expect(atoll_call2(ATOLL_CALL_CONTROL, operation, n) == -EPERM, "VM %lx", n);
        expect(atoll_console_vector(n) == (n == 0 || (n >= 32 && n < 256) ? 0 : -EINVAL),
               "vector %lx of the console", n);
        expect(atoll_call1(ATOLL_CALL_PROBE, n) == -ENOSYS, "probe %lx", n);
    }
    for (uint64_t fault = 0; fault < 4; fault++)
        expect(atoll_call3(ATOLL_CALL_PROBE, ATOLL_PROBE_FAULT, fault, 0) == -ENOSYS,
               "fault %lu", fault);
    atoll_console_vector(0);
    for (size_t i = 0; i < sizeof(buffer); i++)
        expect(buffer[i] == 0, "byte %zu was written", i);
}
