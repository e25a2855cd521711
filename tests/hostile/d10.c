/* SPDX-License-Identifier: MIT */
/* D10: the ports by which emulators print or end. Expected: none is reached: the run goes on, and
 * nothing that only the emulator could have printed shows. */
#include "tests/hostile/hostile.h"

CASE(d10)
{
    static const uint16_t ports[] = {0xe9, 0x402, 0xf4, 0x501, 0x3f8, 0x2f8, 0x80, 0x8900, 0x8a00};

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        for (const char *c = "\n[    0.000001] cpu0 atoll: panic: forged\n"; *c; c++)
            out8(ports[i], (uint8_t)*c);
        out32(ports[i], 0x31);
        expect(in8(ports[i]) == 0xff, "port %x answers", ports[i]);
    }
    expect(in8(0x3fd) == 0xff, "the UART's status shows");
}
