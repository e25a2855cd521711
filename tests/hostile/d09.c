/* SPDX-License-Identifier: MIT */
/* D09: accesses that reach beyond port 0xffff. Expected: no effect, all ones. */
#include "tests/hostile/hostile.h"

CASE(d09)
{
    for (uint32_t port = 0xfff8; port <= 0xffff; port++) {
        out32((uint16_t)port, 0x06060606);
        out16((uint16_t)port, 0x0606);
        expect(in32((uint16_t)port) == UINT32_MAX, "port %x", port);
        expect(in16((uint16_t)port) == UINT16_MAX, "port %x", port);
    }
}
