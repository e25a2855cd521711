/* SPDX-License-Identifier: MIT */
/* J03: all vCPUs loop for ever with interrupts off. Expected: they are preempted, and the peer
 * stops them. */
#include "tests/hostile/hostile.h"

static void loop(void *unused)
{
    (void)unused;
    interrupts_off();
    for (;;)
        __asm__ volatile("");
}

CASE(j03)
{
    for (unsigned i = 1; i < vcpu_count(); i++)
        expect(vcpu_start(i, loop, NULL) == 0, "vCPU %u does not start", i);
    farewell();
    loop(NULL);
}
