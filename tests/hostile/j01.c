/* SPDX-License-Identifier: MIT */
/* J01: SIPI to a vCPU that runs, twice, to itself and to what is not there; starts by call of the
 * same. Expected: an error or no effect, and vCPU 1 goes on counting. */
#include "tests/hostile/hostile.h"

static volatile uint64_t turns;

static void count(void *unused)
{
    (void)unused;
    for (;;)
        turns++;
}

static bool goes_on(void)
{
    uint64_t before = turns, end = now_ns() + 50000000;

    while (turns == before && now_ns() < end)
        atoll_yield();
    return turns != before;
}

CASE(j01)
{
    expect(vcpu_start(1, count, NULL) == 0, "vCPU 1 does not start");
    for (unsigned page = 0; page < 256; page += 5) {
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(1) | page);
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(1) | page);
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(0) | page);
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(2 + page) | page);
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_OTHERS | page);
        expect(atoll_start_vcpu(1, 0x10000, 0) == -EBUSY, "vCPU 1 starts twice");
        expect(atoll_start_vcpu(0, 0x10000, 0) == -EBUSY, "vCPU 0 starts twice");
        expect(atoll_start_vcpu(2 + page, 0x10000, 0) == -EINVAL, "vCPU %u exists", 2 + page);
    }
    expect(atoll_start_vcpu(UINT64_MAX, 0x10000, 0) == -EINVAL, "vCPU -1 exists");
    expect(atoll_start_vcpu(BIT(32) | 1, 0x10000, 0) == -EINVAL, "vCPU 2^32 + 1 exists");
    expect(goes_on(), "vCPU 1 was disturbed");
    apic_send_init(1);
    for (unsigned i = 0; i < 20; i++) { /* starts while it is being stopped */
        apic_send_init(1);
        expect(vcpu_restart(1, count, NULL) == 0, "it does not start again");
    }
    expect(goes_on(), "vCPU 1 does not run");
    expect(atoll_start_vcpu(1, guest_ram_end(), 0) < 0, "a start outside RAM");
}
