/* SPDX-License-Identifier: MIT */
/* One function for each call of include/atoll/hvt.h. Pointers are their own guest-physical
 * addresses; results are enum hvt_result. */
#ifndef GUESTS_HVT_LIB_CALLS_H
#define GUESTS_HVT_LIB_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "atoll/hvt.h"

/* Any number, any address of a structure. */
static inline void hvt_call(unsigned number, uint32_t address)
{
    __asm__ volatile("outl %0, %w1" : : "a"(address), "d"(HVT_PORT + number) : "memory");
}

static inline uint64_t hvt_walltime(void)
{
    struct hvt_walltime call = {0};

    hvt_call(HVT_CALL_WALLTIME, (uint32_t)(uintptr_t)&call);
    return call.nanoseconds;
}

static inline void hvt_puts(const char *text, size_t size)
{
    struct hvt_puts call = {.data = (uintptr_t)text, .length = size};

    hvt_call(HVT_CALL_PUTS, (uint32_t)(uintptr_t)&call);
}

/* Returns bit n for each device n that has a frame; waits `timeout_ns` for one at most. */
static inline uint64_t hvt_poll(uint64_t timeout_ns)
{
    struct hvt_poll call = {.timeout = timeout_ns};

    hvt_call(HVT_CALL_POLL, (uint32_t)(uintptr_t)&call);
    return call.ready;
}

static inline int hvt_block_write(uint64_t handle, uint64_t offset, const void *data, size_t size)
{
    struct hvt_block call = {handle, offset, (uintptr_t)data, size, HVT_UNSPECIFIED};

    hvt_call(HVT_CALL_BLOCK_WRITE, (uint32_t)(uintptr_t)&call);
    return call.result;
}

static inline int hvt_block_read(uint64_t handle, uint64_t offset, void *data, size_t size)
{
    struct hvt_block call = {handle, offset, (uintptr_t)data, size, HVT_UNSPECIFIED};

    hvt_call(HVT_CALL_BLOCK_READ, (uint32_t)(uintptr_t)&call);
    return call.result;
}

static inline int hvt_net_write(uint64_t handle, const void *frame, size_t size)
{
    struct hvt_net call = {handle, (uintptr_t)frame, size, HVT_UNSPECIFIED};

    hvt_call(HVT_CALL_NET_WRITE, (uint32_t)(uintptr_t)&call);
    return call.result;
}

/* `*size`: in the buffer's, out the frame's. */
static inline int hvt_net_read(uint64_t handle, void *frame, size_t *size)
{
    struct hvt_net call = {handle, (uintptr_t)frame, *size, HVT_UNSPECIFIED};

    hvt_call(HVT_CALL_NET_READ, (uint32_t)(uintptr_t)&call);
    *size = call.length;
    return call.result;
}

/* `trap`: of an abort, a struct hvt_trap with HVT_COOKIE_SIZE bytes of RAM; else NULL. */
static inline _Noreturn void hvt_halt(int32_t status, const void *trap)
{
    struct hvt_halt call = {(uintptr_t)trap, status};

    hvt_call(HVT_CALL_HALT, (uint32_t)(uintptr_t)&call);
    __builtin_trap(); /* the call does not return */
}

#endif
