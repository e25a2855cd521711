/* SPDX-License-Identifier: MIT */
/* Code cannot be written. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

int main(void)
{
    *(volatile uint8_t *)main = 0xc3;
    printf("FAILURE\n");
    return 1;
}
