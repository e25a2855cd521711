/* SPDX-License-Identifier: MIT */
/* Solo5's own guests say something of themselves unless their command line begins with this. */
#include "guests/hvt/lib/guest.h"

#define QUIET "--solo5:quiet"

HVT_DEVICES();

int main(void)
{
    if (strcmp(guest_command_line(), QUIET) != 0)
        printf("Solo5: the command line is \"%s\"\n", guest_command_line());
    printf("SUCCESS\n");
    return 0;
}
