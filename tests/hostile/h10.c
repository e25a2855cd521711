/* SPDX-License-Identifier: MIT */
/* H10: replies of all lengths into poisoned buffers. Expected: as many bytes as the call says,
 * none behind them, and zeroes in what has no meaning. */
#include "tests/hostile/hostile.h"

#define POISON 0xa5
#define ROOM   8192

static uint8_t buffer[ROOM];

static void judge(const char *what, int64_t result, uint64_t size, uint64_t whole)
{
    for (uint64_t i = 0; i + 8 <= MIN(size, whole); i += 8)
        look(*(uint64_t *)(buffer + i));
    expect(result == (int64_t)MIN(size, whole), "%s of %lu bytes: %ld", what, size, result);
    for (uint64_t i = MIN(size, whole); i < MIN(size + 64, ROOM); i++)
        expect(buffer[i] == POISON, "%s of %lu bytes: byte %lu was written", what, size, i);
}

/* The name of `size` bytes at `name`: zeroes behind its end. */
static void padded(const char *what, const char *name, size_t size)
{
    for (size_t i = strlen(name); i < size; i++)
        expect(name[i] == 0, "%s: the name has %x behind its end", what, name[i]);
}

CASE(h10)
{
    const struct atoll_vm_info *info = (void *)buffer;
    const struct atoll_vm_state *state = (void *)buffer;
    const struct atoll_link_info *link = (void *)buffer;
    const struct atoll_device_info *device = (void *)buffer;

    for (uint64_t size = 0; size < 200; size++) {
        memset(buffer, POISON, sizeof(buffer));
        judge("VM info", atoll_call2(ATOLL_CALL_VM_INFO, (uintptr_t)buffer, size), size,
              sizeof(*info));
        memset(buffer, POISON, sizeof(buffer));
        judge("VM state", atoll_call3(ATOLL_CALL_VM_STATE, 0, (uintptr_t)buffer, size), size,
              sizeof(*state));
        memset(buffer, POISON, sizeof(buffer));
        judge("link info", atoll_call3(ATOLL_CALL_LINK_INFO, 0, (uintptr_t)buffer, size), size,
              sizeof(*link));
        memset(buffer, POISON, sizeof(buffer));
        judge("device info", atoll_call3(ATOLL_CALL_DEVICE_INFO, 0, (uintptr_t)buffer, size), size,
              sizeof(*device));
        memset(buffer, POISON, sizeof(buffer));
        judge("what was typed", atoll_call2(ATOLL_CALL_CONSOLE_READ, (uintptr_t)buffer, size), 0,
              0);
        judge("a frame", atoll_call3(ATOLL_CALL_NET_READ, 0, (uintptr_t)buffer, size) + EAGAIN, 0,
              0);
    }
    atoll_call3(ATOLL_CALL_DEVICE_INFO, 0, (uintptr_t)buffer, ROOM - 64);
    padded("device info", device->name, sizeof(device->name));
    expect(device->block_size == 0 && device->capacity == 0 && device->read_only == 0 &&
               device->mac[6] == 0 && device->mac[7] == 0,
           "a network device has bytes of a disk");
    atoll_call2(ATOLL_CALL_VM_INFO, (uintptr_t)buffer, ROOM - 64);
    padded("VM info", info->name, sizeof(info->name));
    atoll_call3(ATOLL_CALL_VM_STATE, 0, (uintptr_t)buffer, ROOM - 64);
    padded("VM state", state->name, sizeof(state->name));
    padded("VM state", state->reason, sizeof(state->reason));
    atoll_call3(ATOLL_CALL_LINK_INFO, 0, (uintptr_t)buffer, ROOM - 64);
    padded("link info", link->name, sizeof(link->name));
    for (uint32_t i = link->peers; i < ATOLL_LINK_PEERS; i++)
        for (size_t j = 0; j < sizeof(link->peer[i]); j++)
            expect(((const uint8_t *)&link->peer[i])[j] == 0, "peer %u is none, and has bytes", i);
}
