/* SPDX-License-Identifier: MIT */
/* The way to CPL 3 is an IRET, the way back INT with a gate that CPL 3 may use (SDM Vol. 3A 5.8,
 * 6.12.1). Its handler only changes where the IRET of the stub goes: to the caller. */
#include "guests/lib/user.h"

#include "guests/lib/guest.h"

#define USER_VECTOR 0x7f
#define USER_STACK  16384
#define PTE_PRESENT BIT(0)
#define PTE_USER    BIT(2)
#define PAGES       512

extern uint64_t guest_page_table[PAGES]; /* start.asm: of the first 2 MiB */

void user_enter(void (*function)(void *argument), void *argument, uint64_t stack);
void user_leave(void);
extern uint64_t user_rsp; /* user_enter's, on the stack of CPL 0 */

static uint8_t stack[USER_STACK] __attribute__((aligned(16)));

static bool on_return(struct exception_frame *frame)
{
    frame->cs = SELECTOR_CODE64;
    frame->ss = SELECTOR_DATA;
    frame->rsp = user_rsp;
    frame->rip = (uintptr_t)user_leave;
    return true;
}

static void open_image(void)
{
    for (unsigned i = 0; i < PAGES; i++) {
        if (guest_page_table[i] & PTE_PRESENT)
            guest_page_table[i] |= PTE_USER;
    }
    write_cr3(read_cr3());
}

void user_run(void (*function)(void *argument), void *argument)
{
    open_image();
    exception_gate_open(USER_VECTOR);
    exception_handler_set(USER_VECTOR, on_return);
    user_enter(function, argument, (uintptr_t)(stack + sizeof(stack)));
}
