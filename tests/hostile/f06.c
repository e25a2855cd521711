/* SPDX-License-Identifier: MIT */
/* F06: exceptions, an interrupt and an NMI whose stack was never touched, or lies half in such a
 * page, 40 rounds. Expected: each comes once, with its error code. */
#include "tests/hostile/hostile.h"

#define VECTOR 0x43
#define PLACE  (5ull << 39) /* not mapped */

static volatile unsigned count;
static uint64_t error_code, vector_seen;

static bool on_event(struct exception_frame *frame)
{
    count++;
    error_code = frame->error_code;
    vector_seen = frame->vector;
    if (frame->vector == VECTOR && apic_bit(APIC_ISR, VECTOR))
        apic_end_of_interrupt();
    else if (frame->vector == VECTOR_PF || frame->vector == VECTOR_UD || frame->vector == VECTOR_GP)
        frame->rip = frame->rbx;
    return true;
}

#define ON_STACK(rsp, instructions)                                                                \
    __asm__ volatile("lea 2f(%%rip), %%rbx\n"                                                      \
                     "mov %%rsp, %%r12\n"                                                          \
                     "mov %0, %%rsp\n" instructions "\n"                                           \
                     "2: mov %%r12, %%rsp\n"                                                       \
                     :                                                                             \
                     : "r"(rsp), "r"(PLACE)                                                        \
                     : "memory", "cc", "rax", "rbx", "rcx", "rdx", "r12")

static uint64_t fresh(unsigned round)
{
    return (uintptr_t)pages_alloc(2) + PAGE_SIZE + (round & 1 ? 0 : 24);
}

static void came(uint64_t vector, uint64_t code)
{
    expect(count == 1 && vector_seen == vector && error_code == code,
           "vector %lu came %u times, the last one %lu with error code %lx", vector, count,
           vector_seen, error_code);
    count = 0;
}

CASE(f06)
{
    static const unsigned vectors[] = {VECTOR_NMI, VECTOR_UD, VECTOR_GP, VECTOR_PF, VECTOR};

    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
        exception_handler_set(vectors[i], on_event);
    interrupts_off();
    for (unsigned round = 0; round < 40; round++) {
        ON_STACK(fresh(round), "mov (%1), %%eax");
        came(VECTOR_PF, 0);
        ON_STACK(fresh(round), "movb $0, (%1)");
        came(VECTOR_PF, 2);
        ON_STACK(fresh(round), "ud2");
        came(VECTOR_UD, 0);
        ON_STACK(fresh(round), "mov $0xfff0, %%eax\n"
                               "mov %%eax, %%ds");
        came(VECTOR_GP, 0xfff0);
        ON_STACK(fresh(round), "mov $0x83f, %%ecx\n" /* SELF IPI */
                               "mov $0x43, %%eax\n"
                               "xor %%edx, %%edx\n"
                               "wrmsr\n"
                               "sti\n"
                               "nop\n"
                               "nop\n"
                               "cli");
        came(VECTOR, 0);
        ON_STACK(fresh(round), "mov $0x830, %%ecx\n" /* an NMI to itself */
                               "mov $0x4400, %%eax\n"
                               "xor %%edx, %%edx\n"
                               "wrmsr\n"
                               "nop\n"
                               "nop");
        came(VECTOR_NMI, 0);
    }
    interrupts_on();
}
