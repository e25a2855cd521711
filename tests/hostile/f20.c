/* SPDX-License-Identifier: MIT */
/* F20: MOV SS of a word with a breakpoint on it, then VMCALL, CPUID, INT3, INT n, SYSCALL: the #DB
 * is put off behind them. Expected: it comes to the guest at most once, or is dropped; the
 * instruction works. */
#include "tests/hostile/hostile.h"

static volatile unsigned count, traps;
static uint64_t selector = SELECTOR_DATA;

static bool on_debug(struct exception_frame *frame)
{
    (void)frame;
    count++;
    return true;
}

static bool on_trap(struct exception_frame *frame)
{
    (void)frame;
    traps++;
    return true;
}

#define BEHIND(instruction, number)                                                                \
    ({                                                                                             \
        int64_t rax_ = number;                                                                     \
        count = 0;                                                                                 \
        __asm__ volatile("mov %1, %%ss\n" instruction                                              \
                         : "+a"(rax_)                                                              \
                         : "m"(selector), "D"(0), "S"(0)                                           \
                         : "rbx", "rcx", "rdx", "memory");                                         \
        expect(count <= 1, instruction ": #DB came %u times", count);                              \
        rax_;                                                                                      \
    })

/* SYSCALL to where it would go on anyway. */
static void syscall(void)
{
    count = 0;
    __asm__ volatile("lea 1f(%%rip), %%rax\n"
                     "mov %%rax, %%rdx\n"
                     "shr $32, %%rdx\n"
                     "mov %0, %%ecx\n"
                     "wrmsr\n"
                     "mov %1, %%ss\n"
                     "syscall\n"
                     "1:"
                     :
                     : "i"(MSR_LSTAR), "m"(selector)
                     : "rax", "rcx", "rdx", "r11", "memory", "cc");
    expect(count <= 1, "SYSCALL: #DB came %u times", count);
}

CASE(f20)
{
    exception_handler_set(VECTOR_DB, on_debug);
    exception_handler_set(VECTOR_BP, on_trap);
    exception_handler_set(0x61, on_trap);
    __asm__ volatile("mov %0, %%dr0" : : "r"(&selector));
    write_dr7(0x400 | 1 | 3u << 16 | 1u << 18); /* reads and writes of two bytes */
    wrmsr(0xc0000081, (uint64_t)SELECTOR_CODE64 << 32); /* STAR: CS and SS of SYSCALL */
    wrmsr(0xc0000084, 0);
    for (unsigned round = 1; round <= 50; round++) {
        syscall();
        expect(BEHIND("vmcall", ATOLL_CALL_NULL) == 0, "the call does not work");
        expect(BEHIND("vmcall", 0x777) == -ENOSYS, "the call does not work");
        expect((uint32_t)BEHIND("cpuid", ATOLL_CPUID_BASE) == ATOLL_CPUID_MAX, "CPUID");
        BEHIND("nop", 0);
        BEHIND("int3", 0);
        BEHIND("int $0x61", 0);
        expect(traps == 2 * round, "%u traps, not %u", traps, 2 * round);
        atoll_null();
    }
    write_dr7(0x400);
}
