/* SPDX-License-Identifier: MIT */
/* B07: LMSW and SMSW with register and memory, CLTS, MOV to and from CR0, CR4 and CR8 with each
 * general register. Expected: each is decoded rightly; LMSW does not clear PE and changes no bit
 * above 3. */
#include "tests/hostile/hostile.h"

static uint16_t memory;

/* To `cr` what `value` is, and back again, both by one register, RSP among them. */
#define BY(reg, cr, value)                                                                         \
    ({                                                                                             \
        uint64_t back_, value_ = (value);                                                          \
        __asm__ volatile("movq %%rsp, %%mm0\n"                                                     \
                         "movq %1, %%mm1\n"                                                        \
                         "movq %%rbp, %%mm2\n"                                                     \
                         "movq %%mm1, %%" reg "\n"                                                 \
                         "mov %%" reg ", %%" cr "\n"                                               \
                         "xor %%" reg ", %%" reg "\n"                                              \
                         "mov %%" cr ", %%" reg "\n"                                               \
                         "movq %%" reg ", %%mm1\n"                                                 \
                         "movq %%mm0, %%rsp\n"                                                     \
                         "movq %%mm2, %%rbp\n"                                                     \
                         "movq %%mm1, %0\n"                                                        \
                         "emms"                                                                    \
                         : "=m"(back_)                                                             \
                         : "m"(value_)                                                             \
                         : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",     \
                           "r12", "r13", "r14", "r15", "memory", "cc");                            \
        expect(back_ == value_, cr " by " reg " is %lx, not %lx", back_, value_);                  \
    })

#define BY_ALL(cr, value)                                                                          \
    do {                                                                                           \
        BY("rax", cr, value);                                                                      \
        BY("rbx", cr, value);                                                                      \
        BY("rcx", cr, value);                                                                      \
        BY("rdx", cr, value);                                                                      \
        BY("rsi", cr, value);                                                                      \
        BY("rdi", cr, value);                                                                      \
        BY("rbp", cr, value);                                                                      \
        BY("rsp", cr, value);                                                                      \
        BY("r8", cr, value);                                                                       \
        BY("r9", cr, value);                                                                       \
        BY("r10", cr, value);                                                                      \
        BY("r11", cr, value);                                                                      \
        BY("r12", cr, value);                                                                      \
        BY("r13", cr, value);                                                                      \
        BY("r14", cr, value);                                                                      \
        BY("r15", cr, value);                                                                      \
    } while (0)

static void by_all_registers(uint64_t cr0, uint64_t cr4)
{
    interrupts_off(); /* RSP is anything */
    BY_ALL("cr0", cr0 ^ X86_CR0_AM);
    BY_ALL("cr0", cr0);
    BY_ALL("cr4", cr4 ^ X86_CR4_TSD);
    BY_ALL("cr4", cr4);
    BY_ALL("cr8", 9ul);
    BY_ALL("cr8", 0ul);
    interrupts_on();
}

CASE(b07)
{
    uint64_t cr0 = read_cr0();
    uint16_t word;

    for (unsigned i = 0; i < 16; i++) {
        uint16_t value = (uint16_t)((cr0 & 0xfff0) | i);
        if (i & 1)
            __asm__ volatile("lmsw %0" : : "r"(value));
        else
            __asm__ volatile("lmsw %0" : : "m"(value));
        uint64_t now = read_cr0();
        __asm__ volatile("smsw %0" : "=m"(memory));
        __asm__ volatile("smsw %0" : "=r"(word));
        __asm__ volatile("clts");
        uint64_t cleared = read_cr0();
        write_cr0(cr0);
        expect((now & 15) == (i | X86_CR0_PE), "LMSW %u gives %lx", i, now);
        expect((now & ~15ull) == (cr0 & ~15ull), "LMSW %u changes %lx to %lx", i, cr0, now);
        expect(memory == (uint16_t)now && word == (uint16_t)now, "SMSW %x, %x", memory, word);
        expect(cleared == (now & ~X86_CR0_TS), "CLTS gives %lx", cleared);
    }
    by_all_registers(cr0, read_cr4());
    __asm__ volatile("lmsw %0" : : "r"((uint16_t)0xfff1)); /* what is above bit 3 is not written */
    uint64_t after = read_cr0();
    write_cr0(cr0);
    expect((after & ~15ull) == (cr0 & ~15ull), "LMSW of fff1 gives %lx", after);
}
