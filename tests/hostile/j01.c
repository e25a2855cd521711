/* SPDX-License-Identifier: MIT */
/* J01: SIPI to a vCPU that runs, twice, to itself and to what is not there; starts by call of the
 * same, and of one that waits by two at once. Expected: an error or no effect, and vCPU 1 goes on
 * counting. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

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

static volatile uint32_t round_now, calls_now;
static volatile int64_t answer_of_2;

/* vCPU 2 calls in the same rounds as vCPU 0. */
static void start_too(void *unused)
{
    uint32_t done = 0;

    (void)unused;
    for (;;) {
        while (round_now == done)
            cpu_pause();
        done = round_now;
        answer_of_2 = atoll_start_vcpu(1, (uintptr_t)start32, done);
        calls_now = done;
    }
}

/* Both may be told that it starts (it was not running yet); it starts once, by one of the calls. */
static void starts_at_once(void)
{
    start_cr3 = read_cr3();
    expect(vcpu_start(2, start_too, NULL) == 0, "vCPU 2 does not start");
    for (uint32_t round = 1; round <= 20; round++) {
        uint64_t end = now_ns() + 200000000;
        apic_send_init(1);
        sleep_ms(1);
        memset((void *)start_registers, 0xff, sizeof(start_registers));
        round_now = round;
        int64_t error = atoll_start_vcpu(1, (uintptr_t)start32, round);
        while ((calls_now != round || start_registers[START_DONE] != 1) && now_ns() < end)
            atoll_yield();
        expect((error == 0 || error == -EBUSY) && (answer_of_2 == 0 || answer_of_2 == -EBUSY) &&
                   (error == 0 || answer_of_2 == 0),
               "two starts at once answer %ld and %ld", error, answer_of_2);
        expect(start_registers[START_DONE] == 1 && start_registers[START_EBX] == round,
               "vCPU 1 did not start once, by %x", start_registers[START_EBX]);
    }
}

CASE(j01)
{
    expect(vcpu_start(1, count, NULL) == 0, "vCPU 1 does not start");
    for (unsigned page = 0; page < 256; page += 5) {
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(1) | page);
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(1) | page);
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(0) | page);
        apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_TO(3 + page) | page);
        if (page == 0) { /* vCPU 2 waits, and halts at what lies there */
            *(volatile uint16_t *)0x8000 = 0xf4fa; /* CLI, HLT */
            apic_write(APIC_ICR, APIC_ICR_SIPI | APIC_ICR_ASSERT | APIC_ICR_OTHERS | 8);
        }
        expect(atoll_start_vcpu(1, 0x10000, 0) == -EBUSY, "vCPU 1 starts twice");
        expect(atoll_start_vcpu(0, 0x10000, 0) == -EBUSY, "vCPU 0 starts twice");
        expect(atoll_start_vcpu(3 + page, 0x10000, 0) == -EINVAL, "vCPU %u exists", 3 + page);
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
    starts_at_once();
    expect(atoll_start_vcpu(1, guest_ram_end(), 0) < 0, "a start outside RAM");
}
