/* SPDX-License-Identifier: MIT */
/* D02: the reset ports of a PC, n= of them. Expected: GUEST_RESET, and the machine goes on. */
#include "tests/hostile/hostile.h"

CASE(d02)
{
    farewell();
    switch (variant()) {
    case 0:
        out8(0xcf9, 0x06);
        break;
    case 1:
        out8(0xcf9, 0x02);
        out8(0xcf9, 0x0e);
        break;
    case 2:
        out8(0x64, 0xfe);
        break;
    case 3:
        out8(0x92, 1);
        break;
    case 4: /* a wider access covers it */
        out32(0xcf9, 0x0e);
        break;
    }
}
