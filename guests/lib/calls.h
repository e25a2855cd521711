/* SPDX-License-Identifier: MIT */
/* The calls of include/atoll/abi.h, one function each; the header says what they do and return.
 * Guests run identity-mapped, so a pointer is its guest-physical address. */
#ifndef GUESTS_LIB_CALLS_H
#define GUESTS_LIB_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "atoll/abi.h"

static inline int64_t atoll_call4(uint64_t number, uint64_t first, uint64_t second, uint64_t third,
                                  uint64_t fourth)
{
    register uint64_t r10 __asm__("r10") = fourth;
    int64_t result;
    __asm__ volatile("vmcall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
                     : "memory");
    return result;
}

static inline int64_t atoll_call3(uint64_t number, uint64_t first, uint64_t second, uint64_t third)
{
    return atoll_call4(number, first, second, third, 0);
}

static inline int64_t atoll_call2(uint64_t number, uint64_t first, uint64_t second)
{
    return atoll_call3(number, first, second, 0);
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

static inline int64_t atoll_start_vcpu(uint64_t vcpu, uint64_t entry, uint32_t ebx)
{
    return atoll_call3(ATOLL_CALL_START_VCPU, vcpu, entry, ebx);
}

/* `size` may be less than a whole struct: the first peers are enough for many. */
static inline int64_t atoll_link_info(uint64_t link, struct atoll_link_info *info, size_t size)
{
    return atoll_call3(ATOLL_CALL_LINK_INFO, link, (uintptr_t)info, size);
}

static inline int64_t atoll_link_vector(uint64_t link, uint64_t vector)
{
    return atoll_call2(ATOLL_CALL_LINK_VECTOR, link, vector);
}

static inline int64_t atoll_link_ring(uint64_t link, uint64_t peer)
{
    return atoll_call2(ATOLL_CALL_LINK_RING, link, peer);
}

static inline int64_t atoll_link_poll(uint64_t link)
{
    return atoll_call1(ATOLL_CALL_LINK_POLL, link);
}

static inline int64_t atoll_control(enum atoll_control operation, uint64_t vm)
{
    return atoll_call2(ATOLL_CALL_CONTROL, operation, vm);
}

static inline int64_t atoll_console_read(char *text, size_t size)
{
    return atoll_call2(ATOLL_CALL_CONSOLE_READ, (uintptr_t)text, size);
}

static inline int64_t atoll_console_vector(uint64_t vector)
{
    return atoll_call1(ATOLL_CALL_CONSOLE_VECTOR, vector);
}

/* `size` may be less than a whole struct. */
static inline int64_t atoll_device_info(uint64_t device, struct atoll_device_info *info,
                                        size_t size)
{
    return atoll_call3(ATOLL_CALL_DEVICE_INFO, device, (uintptr_t)info, size);
}

static inline int64_t atoll_block_read(uint64_t device, uint64_t offset, void *data, size_t size)
{
    return atoll_call4(ATOLL_CALL_BLOCK_READ, device, offset, (uintptr_t)data, size);
}

static inline int64_t atoll_block_write(uint64_t device, uint64_t offset, const void *data,
                                        size_t size)
{
    return atoll_call4(ATOLL_CALL_BLOCK_WRITE, device, offset, (uintptr_t)data, size);
}

static inline int64_t atoll_net_read(uint64_t device, void *frame, size_t size)
{
    return atoll_call3(ATOLL_CALL_NET_READ, device, (uintptr_t)frame, size);
}

static inline int64_t atoll_net_write(uint64_t device, const void *frame, size_t size)
{
    return atoll_call3(ATOLL_CALL_NET_WRITE, device, (uintptr_t)frame, size);
}

static inline int64_t atoll_net_vector(uint64_t device, uint64_t vector)
{
    return atoll_call2(ATOLL_CALL_NET_VECTOR, device, vector);
}

static inline int64_t atoll_vm_state(uint64_t vm, struct atoll_vm_state *state)
{
    return atoll_call3(ATOLL_CALL_VM_STATE, vm, (uintptr_t)state, sizeof(*state));
}

#endif
