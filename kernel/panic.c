/* SPDX-License-Identifier: MIT */
/* Panic: say what and where, then stop. Uses nothing that may be what broke: no lock, no memory. */
#include "kernel/panic.h"

#include <stdarg.h>
#include <stdatomic.h>

#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/log.h"

#define BACKTRACE_MAX 24

extern const char text_start[], text_end[];

static _Atomic uint32_t panics;
static void (*stop_others_hook)(void);
static void (*end_hook)(void);

void panic_set_hooks(void (*stop_others)(void), void (*end)(void))
{
    stop_others_hook = stop_others;
    end_hook = end;
}

bool panic_in_progress(void)
{
    return atomic_load_explicit(&panics, memory_order_acquire) != 0;
}

/* Frame pointers, as far as they look like a stack: ascending, aligned, in the higher half. */
static void backtrace(uint64_t rip, uint64_t rbp)
{
    log_line("atoll", "panic:   0x%016llx", (unsigned long long)rip);
    for (int depth = 0; depth < BACKTRACE_MAX; depth++) {
        if (!IS_ALIGNED(rbp, 8) || rbp < (1ull << 63))
            return;
        const uint64_t *frame = (const uint64_t *)rbp;
        uint64_t caller = frame[1];
        if (caller < (uint64_t)text_start || caller >= (uint64_t)text_end)
            return;
        log_line("atoll", "panic:   0x%016llx", (unsigned long long)caller);
        if (frame[0] <= rbp)
            return;
        rbp = frame[0];
    }
}

static void print_registers(const struct panic_registers *r)
{
    static const char *const names[] = {PANIC_GPR_NAMES};
    log_line("atoll", "panic: rip=0x%016llx rsp=0x%016llx rbp=0x%016llx rflags=0x%llx",
             (unsigned long long)r->rip, (unsigned long long)r->rsp, (unsigned long long)r->rbp,
             (unsigned long long)r->rflags);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i += 2)
        log_line("atoll", "panic: %s=0x%016llx %s=0x%016llx", names[i],
                 (unsigned long long)r->gpr[i], names[i + 1], (unsigned long long)r->gpr[i + 1]);
    log_line("atoll", "panic: cr0=0x%llx cr2=0x%llx cr3=0x%llx cr4=0x%llx",
             (unsigned long long)r->cr0, (unsigned long long)r->cr2, (unsigned long long)r->cr3,
             (unsigned long long)r->cr4);
}

static _Noreturn void panic_end(const struct panic_registers *registers, uint64_t rip, uint64_t rbp,
                                const char *message)
{
    if (atomic_fetch_add_explicit(&panics, 1, memory_order_acq_rel) != 0)
        halt_forever(); /* a second processor, or a panic inside the first */
    if (stop_others_hook)
        stop_others_hook();
    log_panic_mode(); /* what the ring still holds, the last log lines, goes out first */
    log_line("atoll", "panic: %s", message);
    if (registers)
        print_registers(registers);
    log_line("atoll", "panic: backtrace (look up with: addr2line -fe build/atoll.elf ADDRESS)");
    backtrace(rip, rbp);
    if (end_hook)
        end_hook();
    halt_forever();
}

_Noreturn void panic(const char *format, ...)
{
    char message[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    panic_end(NULL, (uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0),
              message);
}

_Noreturn void panic_at(const struct panic_registers *registers, const char *format, ...)
{
    char message[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    panic_end(registers, registers->rip, registers->rbp, message);
}
