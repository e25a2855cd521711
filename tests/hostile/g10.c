/* SPDX-License-Identifier: MIT */
/* G10: two vCPUs send each other and themselves IPIs as fast as they can, for 200 ms. Expected: it
 * costs nobody else. */
#include "tests/hostile/hostile.h"

#define PING 0x4a

static uint64_t end;
static volatile unsigned pings;

static void on_ping(unsigned vector)
{
    (void)vector;
    pings++;
}

static void send(void *unused)
{
    (void)unused;
    while (now_ns() < end) {
        apic_write(APIC_ICR, APIC_ICR_OTHERS | PING);
        apic_write(APIC_ICR, APIC_ICR_TO(0) | PING);
        apic_write(APIC_SELF_IPI, PING);
    }
}

CASE(g10)
{
    interrupt_handler_set(PING, on_ping);
    end = now_ns() + 200000000;
    expect(vcpu_start(1, send, NULL) == 0, "vCPU 1 does not start");
    send(NULL);
    while (!vcpu_is_idle(1))
        atoll_yield();
    expect(pings > 100, "%u interrupts", pings);
}
