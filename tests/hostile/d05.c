/* SPDX-License-Identifier: MIT */
/* D05: PCI configuration space of all buses. Expected: nothing is there. */
#include "tests/hostile/hostile.h"

CASE(d05)
{
    for (uint32_t function = 0; function < 0x10000; function++) {
        out32(0xcf8, BIT(31) | function << 8);
        expect(in32(0xcfc) == UINT32_MAX, "a device %x", function);
        out32(0xcfc, 0);
        out16(0xcfe, 0xffff);
    }
    expect(in32(0xcf8) == UINT32_MAX, "the address register answers");
}
