/* SPDX-License-Identifier: MIT */
/* Stops the guest before it, VM 0, in the middle of its work: what that takes, the trace tells. Its
 * module line has `control`. */
#include "guests/lib/guest.h"

#define SETTLE_MS 5

int main(void)
{
    sleep_ms(SETTLE_MS);
    return atoll_control(ATOLL_CONTROL_STOP, 0) == 0 ? 0 : 1;
}
