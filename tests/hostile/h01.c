/* SPDX-License-Identifier: MIT */
/* H01: addresses and lengths at and beyond the edges of RAM, and that wrap, for all calls that
 * take them. Expected: -EFAULT or another error, but for exactly what lies in RAM. */
#include "tests/hostile/hostile.h"

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
        }
    }
    for (uint64_t size = 1; size <= 64; size++) { /* up to the very end */
        int64_t result = atoll_call2(ATOLL_CALL_VM_INFO, end - size, size);
        expect(result == (int64_t)size, "VM info of %lu at the end: %ld", size, result);
        result = atoll_call2(ATOLL_CALL_VM_INFO, end - size, size + 1);
        expect(result == -EFAULT, "one byte more: %ld", result);
    }
    expect(atoll_call2(ATOLL_CALL_CONSOLE_WRITE, end, 0) <= 0, "nothing at the end");
    expect(atoll_call2(ATOLL_CALL_VM_INFO, UINT64_MAX, 0) <= 0, "nothing at -1");
}
