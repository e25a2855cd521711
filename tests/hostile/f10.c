/* SPDX-License-Identifier: MIT */
/* F10: single steps over instructions that exit, some of them in the shadow of MOV SS or STI, INT1
 * among them. Expected: one #DB behind each, with DR6.BS, and no failed entry. */
#include "tests/hostile/hostile.h"

#define DR6_BS BIT(14)

static volatile unsigned count;
static uint64_t rip;

static bool on_trap(struct exception_frame *frame)
{
    count++;
    rip = frame->rip;
    frame->rflags &= ~(uint64_t)X86_EFLAGS_TF;
    return true;
}

#define STEP(instruction, ...)                                                                     \
    ({                                                                                             \
        uint64_t behind_;                                                                          \
        count = 0;                                                                                 \
        write_dr6(0);                                                                              \
        __asm__ volatile("lea 1f(%%rip), %%rsi\n"                                                  \
                         "mov %%rsi, %[behind]\n"                                                  \
                         "pushf\n"                                                                 \
                         "orq $0x100, (%%rsp)\n"                                                   \
                         "popf\n" instruction "\n"                                                 \
                         "1: nop\n"                                                                \
                         : [behind] "=m"(behind_)                                                  \
                         : __VA_ARGS__                                                             \
                         : "memory", "cc", "rbx", "rsi", "rdi");                                   \
        expect(count == 1 && rip == behind_ && (read_dr6() & DR6_BS),                              \
               "%s: %u traps, %ld bytes off, DR6 %lx", instruction, count, (long)(rip - behind_), \
               read_dr6());                                                                        \
    })

/* The same where INT1 or a trap in between may come, too: at most two. Clears what `clear` says of
 * RFLAGS first, and brings all of it back. */
#define SOME(clear, instruction, ...)                                                              \
    ({                                                                                             \
        count = 0;                                                                                 \
        __asm__ volatile("pushf\n"                                                                 \
                         "pushf\n"                                                                 \
                         "andq $~" #clear ", (%%rsp)\n"                                            \
                         "orq $0x100, (%%rsp)\n"                                                   \
                         "popf\n" instruction "\n"                                                 \
                         "nop\n"                                                                   \
                         "popf\n"                                                                  \
                         :                                                                         \
                         : __VA_ARGS__                                                             \
                         : "memory", "cc", "rbx", "rsi", "rdi");                                   \
        expect(count == 1 || count == 2, "%s: %u traps", instruction, count);                      \
    })

/* STI has a shadow if interrupts were off; the trap behind it comes all the same. */
#define STI(instruction, ...) SOME(0x200, "sti; " instruction, __VA_ARGS__)

CASE(f10)
{
    exception_handler_set(VECTOR_DB, on_trap);
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();
    for (unsigned round = 0; round < 20; round++) {
        uint64_t a = 0, c = 0, d = 0;
        STEP("cpuid", "a"(a), "c"(c), "d"(d));
        STEP("vmcall", "a"(a), "c"(c), "d"(d));
        STEP("in $0x80, %%al", "a"(a));
        STEP("out %%al, $0x80", "a"(a));
        STEP("wbinvd", "a"(a));
        STEP("invd", "a"(a));
        STEP("pause", "a"(a));
        STEP("mov %%rax, %%cr0", "a"(cr0));
        STEP("mov %%rax, %%cr4", "a"(cr4));
        STEP("mov %%rax, %%cr8", "a"(a));
        STEP("rdtsc", "a"(a), "d"(d));
        c = MSR_EFER;
        STEP("rdmsr", "a"(a), "d"(d), "c"(c));
        c = APIC_TPR;
        STEP("wrmsr", "a"(a), "d"(d), "c"(c));
        STEP("sti", "a"(a));
        STEP("rdtscp", "a"(a), "c"(c), "d"(d));
        STEP("invlpg (%%rax)", "a"(a));
        STEP("mov %%cr0, %%rax", "a"(a));
        STEP("mov %%cr8, %%rax", "a"(a));
        STEP("mov %%rax, %%cr3", "a"(read_cr3()));
        STEP("mov %%rax, %%dr0", "a"(a));
        STEP("clts", "a"(a));
        STEP("hlt", "a"(a));
        STEP("lmsw %%ax", "a"(cr0));
        /* MOV SS holds the trap off until the instruction behind it is done */
        d = SELECTOR_DATA;
        STEP("mov %%edx, %%ss; cpuid", "a"(a), "c"(c), "d"(d));
        d = SELECTOR_DATA;
        STEP("mov %%edx, %%ss; vmcall", "a"(a), "c"(c), "d"(d));
        STEP("mov %%edx, %%ss; in $0x80, %%al", "a"(a), "d"(d));
        SOME(0, "mov %%edx, %%ss; .byte 0xf1", "a"(a), "d"(d));
        SOME(0, ".byte 0xf1", "a"(a), "d"(d));
        STI("cpuid", "a"(a), "c"(c), "d"(d));
        STI("vmcall", "a"(a), "c"(c), "d"(d));
        STI("wbinvd", "a"(a), "d"(d));
        STI(".byte 0xf1", "a"(a), "d"(d));
        STI("mov %%edx, %%ss; .byte 0xf1", "a"(a), "d"(SELECTOR_DATA));
    }
    exception_handler_set(VECTOR_DB, NULL);
}
