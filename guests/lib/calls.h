/* SPDX-License-Identifier: MIT */
/* The calls of include/atoll/abi.h, one function each; the header says what they do and return.
 * Guests run identity-mapped, so a pointer is its guest-physical address. */
#ifndef GUESTS_LIB_CALLS_H
#define GUESTS_LIB_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "atoll/abi.h"

static inline int64_t atoll_call2(uint64_t number, uint64_t first, uint64_t second)
{
    int64_t result;
    __asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "memory");
    return result;
}

static inline int64_t atoll_call1(uint64_t number, uint64_t first)
{
    return atoll_call2(number, first, 0);
}

static inline int64_t atoll_call0(uint64_t number)
{
    return atoll_call2(number, 0, 0);
}

static inline int64_t atoll_null(void)
{
    return atoll_call0(ATOLL_CALL_NULL);
}

static inline int64_t atoll_console_write(const char *text, size_t size)
{
    return atoll_call2(ATOLL_CALL_CONSOLE_WRITE, (uintptr_t)text, size);
}

static inline _Noreturn void atoll_exit(uint8_t status)
{
    atoll_call1(ATOLL_CALL_EXIT, status);
    __builtin_trap(); /* the call does not return */
}

static inline int64_t atoll_yield(void)
{
    return atoll_call0(ATOLL_CALL_YIELD);
}

static inline int64_t atoll_sleep_until(uint64_t tsc)
{
    return atoll_call1(ATOLL_CALL_SLEEP_UNTIL, tsc);
}

static inline int64_t atoll_sleep_for(uint64_t ns)
{
    return atoll_call1(ATOLL_CALL_SLEEP_FOR, ns);
}

static inline int64_t atoll_vm_info(struct atoll_vm_info *info)
{
    return atoll_call2(ATOLL_CALL_VM_INFO, (uintptr_t)info, sizeof(*info));
}

static inline int64_t atoll_wall_clock(void)
{
    return atoll_call0(ATOLL_CALL_WALL_CLOCK);
}

static inline int64_t atoll_probe(enum atoll_probe signal)
{
    return atoll_call1(ATOLL_CALL_PROBE, signal);
}

#endif
