/* SPDX-License-Identifier: MIT */
/* D06: PIC, PIT, RTC and ELCR programmed anew. Expected: no effect: timers of the host, and so the
 * slices of all, go on. */
#include "tests/hostile/hostile.h"

CASE(d06)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } writes[] = {{0x20, 0x11}, {0x21, 0x08}, {0x21, 0x04}, {0x21, 0x01}, {0x21, 0xff},
                  {0xa0, 0x11}, {0xa1, 0x70}, {0xa1, 0x02}, {0xa1, 0x01}, {0xa1, 0xff},
                  {0x43, 0x34}, {0x40, 1},    {0x40, 0},    {0x43, 0xb6}, {0x42, 1},
                  {0x61, 3},    {0x70, 0x8f}, {0x71, 0},    {0x70, 0x8b}, {0x71, 0x7f},
                  {0x4d0, 0xff}, {0x4d1, 0xff}, {0x22, 0x70}, {0x23, 1}};
    uint64_t last = now_ns();

    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
            out8(writes[i].port, writes[i].value);
            expect(in8(writes[i].port) == 0xff, "port %x answers", writes[i].port);
        }
        sleep_ms(1);
        expect(now_ns() >= last + 1000000, "a sleep of 1 ms took %lu ns", now_ns() - last);
        last = now_ns();
    }
}
