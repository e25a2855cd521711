/* SPDX-License-Identifier: MIT */
/* Initialised data is there, can be written, and is as it was in a next life; BSS is zero. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

static char text[] = "RUCCESS\n";
static char zero[8192];

int main(void)
{
    for (size_t i = 0; i < sizeof(zero); i++) {
        if (zero[i]++)
            return 1;
    }
    text[0]++;
    hvt_puts(text, strlen(text));
    return 0;
}
