/* SPDX-License-Identifier: MIT */
/* A write to page 0, which the guest's page tables do not map. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

int main(void)
{
    volatile uint64_t *address = (uint64_t *)sizeof(uint64_t);

    __asm__("" : "+r"(address)); /* the compiler is not to know */
    *address = 1;
    printf("FAILURE\n");
    return 1;
}
