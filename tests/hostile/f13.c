/* SPDX-License-Identifier: MIT */
/* F13: task switches of 32-bit code, n= of them: JMP to a TSS, a task gate in the IDT, IRET with
 * NT. Expected: TASK_SWITCH. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

CASE(f13)
{
    static void (*const ways[])(void) = {task_jump, task_gate, task_return};

    farewell();
    run32(ways[variant()]);
}
