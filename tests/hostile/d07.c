/* SPDX-License-Identifier: MIT */
/* D07: the ISA DMA controllers and the floppy disk's, programmed to read into memory. Expected: no
 * transfer, no byte of anybody's memory changes. */
#include "tests/hostile/hostile.h"

static uint8_t target[8192] __attribute__((aligned(4096)));

CASE(d07)
{
    uint32_t address = (uint32_t)(uintptr_t)target;
    static const uint8_t command[] = {0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff};

    memset(target, 0x5a, sizeof(target));
    for (unsigned channel = 0; channel < 4; channel++) {
        out8(0x0c, 0);
        out8(0x0b, (uint8_t)(0x44 | channel)); /* single, to memory */
        out8((uint16_t)(channel * 2), (uint8_t)address);
        out8((uint16_t)(channel * 2), (uint8_t)(address >> 8));
        out8(channel == 0 ? 0x87 : channel == 1 ? 0x83 : channel == 2 ? 0x81 : 0x82,
             (uint8_t)(address >> 16));
        out8((uint16_t)(channel * 2 + 1), 0xff);
        out8((uint16_t)(channel * 2 + 1), 0x01);
        out8(0x0a, (uint8_t)channel);
        out8(0xd4, (uint8_t)channel);
        out8(0x09, (uint8_t)(4 | channel)); /* a request by software */
    }
    out8(0x3f2, 0x1c);
    for (size_t i = 0; i < ARRAY_SIZE(command); i++)
        out8(0x3f5, command[i]);
    sleep_ms(5);
    for (size_t i = 0; i < sizeof(target); i++)
        expect(target[i] == 0x5a, "byte %zu became %x", i, target[i]);
}
