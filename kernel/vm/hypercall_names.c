/* SPDX-License-Identifier: MIT */
/* The calls by number, as in enum atoll_call. */
#include "kernel/vm/hypercall_names.h"

#include <atoll/abi.h>

#include "kernel/vm/stats.h"

static const char *const names[] = {
    [ATOLL_CALL_NULL] = "null",
    [ATOLL_CALL_CONSOLE_WRITE] = "console_write",
    [ATOLL_CALL_EXIT] = "exit",
    [ATOLL_CALL_YIELD] = "yield",
    [ATOLL_CALL_SLEEP_UNTIL] = "sleep_until",
    [ATOLL_CALL_SLEEP_FOR] = "sleep_for",
    [ATOLL_CALL_VM_INFO] = "vm_info",
    [ATOLL_CALL_WALL_CLOCK] = "wall_clock",
    [ATOLL_CALL_PROBE] = "probe",
    [ATOLL_CALL_START_VCPU] = "start_vcpu",
    [ATOLL_CALL_LINK_INFO] = "link_info",
    [ATOLL_CALL_LINK_VECTOR] = "link_vector",
    [ATOLL_CALL_LINK_RING] = "link_ring",
    [ATOLL_CALL_LINK_POLL] = "link_poll",
    [ATOLL_CALL_CONTROL] = "control",
    [ATOLL_CALL_VM_STATE] = "vm_state",
    [ATOLL_CALL_CONSOLE_READ] = "console_read",
    [ATOLL_CALL_CONSOLE_VECTOR] = "console_vector",
    [ATOLL_CALL_DEVICE_INFO] = "device_info",
    [ATOLL_CALL_BLOCK_READ] = "block_read",
    [ATOLL_CALL_BLOCK_WRITE] = "block_write",
    [ATOLL_CALL_NET_READ] = "net_read",
    [ATOLL_CALL_NET_WRITE] = "net_write",
    [ATOLL_CALL_NET_VECTOR] = "net_vector",
};
_Static_assert(ARRAY_SIZE(names) == STAT_CALLS - 1, "each call has a name, and figures of its own");

const char *hypercall_name(uint64_t number)
{
    return number < ARRAY_SIZE(names) ? names[number] : NULL;
}
