/* SPDX-License-Identifier: MIT */
/* F12: IRET, far RET, far JMP and SYSRET to addresses that are not canonical, RSP among them.
 * Expected: a fault in the guest only. */
#include "tests/hostile/hostile.h"

static volatile unsigned count;

static bool on_fault(struct exception_frame *frame)
{
    count++;
    frame->cs = SELECTOR_CODE64;
    frame->ss = SELECTOR_DATA;
    frame->rsp = frame->r13;
    frame->rip = frame->r12;
    frame->rflags &= ~(uint64_t)X86_EFLAGS_TF;
    return true;
}

/* Runs `instructions`, which fault; the handler brings stack and flags back. */
#define FAULTS(what, instructions, value)                                                          \
    ({                                                                                             \
        count = 0;                                                                                 \
        __asm__ volatile("lea 2f(%%rip), %%r12\n"                                                  \
                         "mov %%rsp, %%r13\n" instructions "\n"                                    \
                         "2:"                                                                      \
                         :                                                                         \
                         : "a"(value), "b"((uint64_t)SELECTOR_CODE64),                             \
                           "d"((uint64_t)SELECTOR_DATA)                                            \
                         : "memory", "cc", "rcx", "r11", "r12", "r13");                            \
        expect(count == 1, what " to %lx: %u faults", (uint64_t)(value), count);                   \
    })

CASE(f12)
{
    static const uint64_t places[] = {BIT(47), BIT(63), 0x7fffffffffffffff, 0xffff7fffffffffff};
    static const unsigned vectors[] = {VECTOR_GP, 12, VECTOR_PF, VECTOR_DF};

    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
        exception_handler_set(vectors[i], on_fault);
    interrupts_off();
    for (unsigned round = 0; round < 20; round++) {
        uint64_t place = places[round % ARRAY_SIZE(places)];
        FAULTS("IRET", "push %%rdx\n"
                       "push %%r13\n"
                       "pushf\n"
                       "push %%rbx\n"
                       "push %%rax\n"
                       "iretq", place);
        FAULTS("IRET with RSP", "push %%rdx\n"
                                "push %%rax\n"
                                "pushf\n"
                                "push %%rbx\n"
                                "lea 1f(%%rip), %%rcx\n"
                                "push %%rcx\n"
                                "iretq\n"
                                "1: pop %%rcx", place);
        FAULTS("far RET", "push %%rbx\n"
                          "push %%rax\n"
                          "lretq", place);
        FAULTS("far JMP", "push %%rbx\n"
                          "push %%rax\n"
                          "rex64 ljmp *(%%rsp)", place);
        FAULTS("SYSRET", "mov %%rax, %%rcx\n"
                         "mov $2, %%r11\n"
                         "sysretq", place);
    }
    interrupts_on();
}
