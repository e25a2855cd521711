/* SPDX-License-Identifier: MIT */
/* D04: the ports that raise an SMI. Expected: no effect. */
#include "tests/hostile/hostile.h"

CASE(d04)
{
    for (unsigned value = 0; value < 256; value++) {
        out8(0xb3, (uint8_t)value);
        out8(0xb2, (uint8_t)value);
        expect(in8(0xb2) == 0xff && in8(0xb3) == 0xff, "an SMI port answers");
    }
}
