/* SPDX-License-Identifier: MIT */
/* E09: the guest fills all of its memory and dies; in its next life it looks for what it left.
 * Expected: nothing of it, and no secret of the host, in any page (restart=, control). */
#include "tests/hostile/hostile.h"

#define PATTERN 0x1badb002deadbea7ull

CASE(e09)
{
    static volatile uint64_t mask = 0x1111111111111111;
    struct atoll_vm_info info;
    struct atoll_vm_state state;

    atoll_vm_info(&info);
    expect(atoll_vm_state(info.vm, &state) == sizeof(state), "no state");
    uint64_t first = (uintptr_t)pages_next(), end = guest_ram_end();
    if (state.starts < 3) {
        for (uint64_t at = first; at < end; at += 8)
            *(volatile uint64_t *)at = mask ^ PATTERN;
        guest_exit(1);
    }
    for (uint64_t at = first; at < end; at += 8)
        expect(*(volatile uint64_t *)at == 0, "0x%lx holds %lx", at, *(volatile uint64_t *)at);
}
