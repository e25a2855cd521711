/* SPDX-License-Identifier: MIT */
/* Data cannot be executed. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

static uint8_t ret[] = {0xc3};

int main(void)
{
    ((void (*)(void))(uintptr_t)ret)();
    printf("FAILURE\n");
    return 1;
}
