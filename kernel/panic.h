/* SPDX-License-Identifier: MIT */
/* The end of the hypervisor when it finds a bug of its own: registers, a backtrace and the last
 * log lines, written synchronously; all other processors stop. A guest's error never comes here. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/lib/types.h"

struct panic_registers {
    uint64_t rip, rsp, rbp, rflags;
    uint64_t gpr[14]; /* RAX RBX RCX RDX RSI RDI R8-R15 */
    uint64_t cr0, cr2, cr3, cr4;
};

#define PANIC_GPR_NAMES "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", \
                        "r13", "r14", "r15"

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void panic_at(const struct panic_registers *registers, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For the NMI handler: has another processor panicked? Then this one is to stop for good. */
bool panic_in_progress(void);

/* What stands above and is needed at the end: `stop_others` sends the NMIs, `end` powers off or
 * halts when everything is said (it may be NULL: halt). */
void panic_set_hooks(void (*stop_others)(void), void (*end)(void));

#endif
