/* SPDX-License-Identifier: MIT */
/* F08: an exception whose delivery faults again: a page fault of the processor's, #GP and #UD that
 * the hypervisor injects, each with a gate that is not present (#NP), one to no code (#GP) and a
 * stack that is not mapped (#PF). Expected: #DF, or the second fault, as SDM table 6-5 says, once
 * for each; n=1: the gate of #DF is not present either: TRIPLE_FAULT. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

#define PRESENT   0x80
#define PLACE     (6ull << 39)
#define NO_STACK  (PLACE + 0x100000)
#define VECTOR_NP 11

static volatile unsigned count, last;
static struct idt_entry *idt;

static bool on_second(struct exception_frame *frame)
{
    count++;
    last = (unsigned)frame->vector;
    frame->rip = frame->rbx;
    frame->rsp = frame->r12;
    return true;
}

/* Each causes its exception with RSP as given, and goes on at the end by the handler. */
#define CAUSE(instructions, rsp)                                                                   \
    __asm__ volatile("lea 2f(%%rip), %%rbx\n"                                                      \
                     "mov %%rsp, %%r12\n"                                                          \
                     "test %0, %0\n"                                                               \
                     "jz 1f\n"                                                                     \
                     "mov %0, %%rsp\n"                                                             \
                     "1: " instructions "\n"                                                       \
                     "2: mov %%r12, %%rsp\n"                                                       \
                     :                                                                             \
                     : "r"(rsp), "r"(PLACE)                                                        \
                     : "rax", "rbx", "rcx", "rdx", "r12", "memory", "cc")

static void cause(unsigned vector, uint64_t rsp)
{
    count = 0;
    switch (vector) {
    case VECTOR_PF:
        CAUSE("mov (%1), %%eax", rsp);
        break;
    case VECTOR_GP:
        CAUSE("mov $0x480, %%ecx\n"
              "rdmsr", rsp);
        break;
    case VECTOR_UD:
        CAUSE("vmlaunch", rsp);
        break;
    }
}

static void expect_second(const char *how, unsigned vector, unsigned wanted)
{
    expect(count == 1 && last == wanted, "%s of %s: %u exceptions, the last %s, not %s", how,
           exception_name((int)vector), count, exception_name((int)last),
           exception_name((int)wanted));
}

CASE(f08)
{
    static const unsigned first[] = {VECTOR_PF, VECTOR_GP, VECTOR_UD};
    static const unsigned seconds[] = {VECTOR_DF, VECTOR_NP, VECTOR_GP, VECTOR_PF};
    struct descriptor_pointer pointer;

    __asm__ volatile("sidt %0" : "=m"(pointer));
    idt = (struct idt_entry *)pointer.base;
    for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
        exception_handler_set(seconds[i], on_second);
        idt[seconds[i]].ist = idt[VECTOR_DF].ist;
    }
    if (variant() == 1) {
        idt[VECTOR_PF].type &= (uint8_t)~PRESENT;
        idt[VECTOR_DF].type &= (uint8_t)~PRESENT;
        farewell();
        cause(VECTOR_PF, 0);
        return;
    }
    interrupts_off();
    for (unsigned round = 0; round < 50; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
            struct idt_entry *gate = &idt[first[i]], saved = *gate;
            bool benign = first[i] == VECTOR_UD;

            gate->type &= (uint8_t)~PRESENT;
            cause(first[i], 0);
            expect_second("a missing gate", first[i], benign ? VECTOR_NP : VECTOR_DF);
            *gate = saved;
            gate->selector = 0xfff8;
            cause(first[i], 0);
            expect_second("a gate to no code", first[i], benign ? VECTOR_GP : VECTOR_DF);
            *gate = saved;
            gate->ist = 0;
            cause(first[i], NO_STACK);
            expect_second("no stack", first[i], first[i] == VECTOR_PF ? VECTOR_DF : VECTOR_PF);
            *gate = saved;
        }
    }
    interrupts_on();
}
