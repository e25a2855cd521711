/* SPDX-License-Identifier: MIT */
/* D03: ACPI power management: sleep types of S3 and S5 with SLP_EN at the usual ports. Expected:
 * no effect, the machine stays on. */
#include "tests/hostile/hostile.h"

CASE(d03)
{
    static const uint16_t ports[] = {0x404, 0x604, 0x1804, 0x4004, 0xb004, 0xb044, 0x8900};

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        for (uint32_t type = 0; type < 8; type++)
            out16(ports[i], (uint16_t)(type << 10 | BIT(13)));
        expect(in16(ports[i]) == 0xffff, "port %x reads %x", ports[i], in16(ports[i]));
    }
    for (const char *c = "Shutdown"; *c; c++) /* how Bochs is ended */
        out8(0x8900, (uint8_t)*c);
    expect(in8(0x8900) == 0xff, "port 8900 answers");
}
