/* SPDX-License-Identifier: MIT */
/* F07: INT n, INT3, INT1 and INTO whose stack was never touched, 60 rounds. Expected: each comes
 * once, and its frame says the address behind the instruction. */
#include "tests/hostile/hostile.h"

static volatile unsigned count;
static uint64_t rip;

static bool on_event(struct exception_frame *frame)
{
    count++;
    rip = frame->rip;
    return true;
}

#define ON_STACK(instruction)                                                                      \
    ({                                                                                             \
        uint64_t behind_, rsp_ = (uintptr_t)pages_alloc(2) + PAGE_SIZE + (round & 1) * 16;         \
        count = 0;                                                                                 \
        __asm__ volatile("lea 2f(%%rip), %0\n"                                                     \
                         "mov %%rsp, %%r12\n"                                                      \
                         "mov %1, %%rsp\n" instruction "\n"                                        \
                         "2: mov %%r12, %%rsp\n"                                                   \
                         : "=&r"(behind_)                                                          \
                         : "r"(rsp_)                                                               \
                         : "memory", "r12");                                                       \
        expect(count == 1 && rip == behind_, "%s came %u times, at %lx, not %lx", instruction,     \
               count, rip, behind_);                                                               \
    })

/* From compatibility mode, with OF set, on a stack of its own. */
static void into(unsigned round)
{
    uint64_t behind, rsp = (uintptr_t)pages_alloc(2) + PAGE_SIZE + (round & 1) * 16;

    count = 0;
    __asm__ volatile("lea 2f(%%rip), %0\n"
                     "push %2\n"
                     "lea 1f(%%rip), %%rcx\n"
                     "push %%rcx\n"
                     "mov $0x7fffffff, %%ecx\n"
                     "inc %%ecx\n"
                     "lretq\n"
                     ".code32\n"
                     "1: mov %%esp, %%esi\n"
                     "mov %%edi, %%esp\n"
                     "into\n"
                     "2: mov %%esi, %%esp\n"
                     "ljmp %3, $3f\n"
                     ".code64\n"
                     "3:"
                     : "=&r"(behind)
                     : "D"(rsp), "i"(SELECTOR_CODE32), "i"(SELECTOR_CODE64)
                     : "rcx", "rsi", "memory", "cc");
    expect(count == 1 && rip == behind, "INTO came %u times, at %lx, not %lx", count, rip, behind);
}

CASE(f07)
{
    exception_handler_set(4, on_event); /* #OF */
    exception_handler_set(VECTOR_DB, on_event);
    exception_handler_set(VECTOR_BP, on_event);
    exception_handler_set(0x55, on_event);
    interrupts_off();
    for (unsigned round = 0; round < 60; round++) {
        ON_STACK("int $0x55");
        ON_STACK("int3");
        ON_STACK(".byte 0xf1");
        into(round);
    }
    interrupts_on();
}
