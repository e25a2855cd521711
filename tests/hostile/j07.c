/* SPDX-License-Identifier: MIT */
/* J07: guests that ask for more memory than there is: one for too much, several of which the last
 * are too many. Expected: these are refused in words, and the others live. */
#include "tests/hostile/hostile.h"

CASE(j07)
{
    struct atoll_vm_info info = {0};

    expect(atoll_vm_info(&info) == sizeof(info) && info.memory >= 30 * MIB, "%lu bytes",
           info.memory);
    sleep_ms(20);
}
