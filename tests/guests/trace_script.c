/* SPDX-License-Identifier: MIT */
/* A guest whose exits are known one by one, between two accesses to ports that nothing else uses.
 * tests/boot/test_trace.py has the same script. Options: us=N to compute before it, so that slices
 * end (0), cpuids=N (3). */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define PORT_BEGIN 0x80
#define PORT_END   0x81
#define PORT       0x2f8
#define NULLS      2
#define PLACE      (24 * MIB)
#define SLEEP_NS   1000000
#define LAST_NS    20000000 /* the peer's doorbell is to find this guest alive */

static void script(const struct link *link, uint64_t cpuids)
{
    out8(PORT_BEGIN, 0);
    for (uint64_t i = 0; i < cpuids; i++)
        cpuid(0, 0);
    for (unsigned i = 0; i < NULLS; i++)
        atoll_null();
    out8(PORT, 0);
    *(volatile char *)PLACE = 1;
    link_ring(link, !link->self);
    atoll_sleep_for(SLEEP_NS);
    out8(PORT_END, 0);
}

int main(void)
{
    uint64_t end = now_ns() + guest_option_number("us", 0) * 1000;
    struct link link;

    if (link_open(&link, 0))
        return 1;
    while (now_ns() < end)
        cpu_pause();
    script(&link, guest_option_number("cpuids", 3));
    atoll_sleep_for(LAST_NS);
    return 0;
}
