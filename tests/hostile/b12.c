/* SPDX-License-Identifier: MIT */
/* B12: from long mode by 32-bit code without paging to 16-bit code, real mode with a base that
 * only protected mode gives, and back, 300 times, with an exit in each. Expected: all of it works,
 * and calls are refused there. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

CASE(b12)
{
    uint32_t wanted = cpuid(ATOLL_CPUID_BASE, 0).ebx;

    for (unsigned i = 0; i < 300; i++) {
        expect(run32(cpuid32) == wanted, "CPUID in 32-bit code");
        expect(run16(cpuid16) == wanted, "CPUID in real mode");
        expect((int32_t)run32(vm_call32) == -EPERM, "a call in 32-bit code");
        expect((int32_t)run16(vm_call16) == -EPERM, "a call in real mode");
    }
}
