/* SPDX-License-Identifier: MIT */
/* F09: an interrupt pending behind CLI, behind STI, behind MOV SS, and in STI; HLT. Expected: it
 * comes when it is allowed, never before, and HLT does not sleep over it. */
#include "tests/hostile/hostile.h"

#define VECTOR 0x45

static volatile unsigned count;
static uint64_t rip;

static bool on_interrupt(struct exception_frame *frame)
{
    count++;
    rip = frame->rip;
    apic_end_of_interrupt();
    return true;
}

/* Makes one pending with interrupts off, runs `instructions`, and gives the place of label 3. */
#define PENDING(instructions)                                                                      \
    ({                                                                                             \
        uint64_t allowed_, data_ = SELECTOR_DATA;                                                  \
        count = 0;                                                                                 \
        interrupts_off();                                                                          \
        apic_write(APIC_SELF_IPI, VECTOR);                                                         \
        cpuid(0, 0);                                                                               \
        expect(count == 0, "it came while interrupts were off");                                   \
        __asm__ volatile("lea 3f(%%rip), %0\n" instructions                                        \
                         : "=&r"(allowed_)                                                         \
                         : "r"(data_)                                                              \
                         : "memory", "rax", "rbx", "rcx", "rdx");                                  \
        expect(count == 1, "it came %u times", count);                                             \
        allowed_;                                                                                  \
    })

CASE(f09)
{
    exception_handler_set(VECTOR, on_interrupt);
    for (unsigned round = 0; round < 50; round++) {
        uint64_t place = PENDING("sti\n"
                                 "nop\n"
                                 "3: nop\n"
                                 "cli\n");
        expect(rip == place, "behind STI at %lx, not %lx", rip, place);
        place = PENDING("sti\n"
                        "mov %k1, %%ss\n"
                        "nop\n"
                        "3: nop\n"
                        "cli\n");
        expect(rip <= place, "behind MOV SS at %lx, not %lx", rip, place);
        place = PENDING("sti\n"
                        "hlt\n"
                        "3: cli\n");
        expect(rip == place, "behind HLT at %lx, not %lx", rip, place);
        place = PENDING("sti\n" /* an instruction that exits, in the shadow */
                        "xor %%eax, %%eax\n"
                        "3: cpuid\n"
                        "cli\n");
        expect(rip == place, "before CPUID at %lx, not %lx", rip, place);
        place = PENDING("xor %%eax, %%eax\n"
                        "sti\n"
                        "cpuid\n"
                        "3: nop\n"
                        "cli\n");
        expect(rip == place, "behind CPUID in the shadow at %lx, not %lx", rip, place);
    }
    interrupts_on();
}
