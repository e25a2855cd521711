/* SPDX-License-Identifier: MIT */
/* F13: task switches of 32-bit code, n= of them: JMP to a TSS, CALL, a task gate in the IDT, IRET
 * with NT, an NMI by a task gate, and one at CPL 3. Expected: TASK_SWITCH. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

static void send_nmis(void *unused)
{
    (void)unused;
    while (!at_user)
        atoll_yield();
    for (;;) {
        sleep_ms(2); /* it is in its loop by then */
        apic_send_nmi(0);
    }
}

CASE(f13)
{
    static void (*const ways[])(void) = {task_jump,   task_call, task_gate,
                                         task_return, task_nmi,  task_nmi_user};

    if (ways[variant()] == task_nmi_user)
        expect(vcpu_start(1, send_nmis, NULL) == 0, "vCPU 1 does not start");
    farewell();
    run32(ways[variant()]);
}
