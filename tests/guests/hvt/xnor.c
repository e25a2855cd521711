/* SPDX-License-Identifier: MIT */
/* Code cannot be read. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

int main(void)
{
    printf("FAILURE: %x\n", *(volatile uint8_t *)main);
    return 1;
}
