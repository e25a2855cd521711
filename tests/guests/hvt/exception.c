/* SPDX-License-Identifier: MIT */
/* A write to where no RAM can be: the guest's own page fault. */
#include "guests/hvt/lib/guest.h"

#define BEYOND_RAM 0x400000000

HVT_DEVICES();

int main(void)
{
    *(volatile uint64_t *)BEYOND_RAM = 1;
    printf("FAILURE\n");
    return 1;
}
