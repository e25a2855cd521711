/* SPDX-License-Identifier: MIT */
/* Constants cannot be written. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

static const char constant[] = "constant";

int main(void)
{
    *(volatile char *)constant = 'C';
    printf("FAILURE: %s\n", constant);
    return 1;
}
