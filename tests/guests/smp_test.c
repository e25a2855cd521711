/* SPDX-License-Identifier: MIT */
/* A guest that tests its vCPUs: start and start again, IPIs to one, to some, to all, locks, and
 * that the TSC never runs backwards from one to another. Options: ms=N, how long the TSC is watched
 * (50); start=call as in guests/lib/smp.h. */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define VECTOR     0x42
#define ROUNDS     50
#define RESTARTS   10
#define INCREMENTS 2000
#define DEFAULT_MS 50
#define CLUSTER    16 /* vCPUs with one logical cluster id (SDM 10.12.10.2) */

static volatile unsigned taken[VCPUS_MAX], nmis[VCPUS_MAX], runs[VCPUS_MAX], ids[VCPUS_MAX];
static _Atomic bool leave;
static struct barrier barrier;
static struct spinlock lock;
static uint64_t counter, increments, last_tsc;
static _Atomic unsigned backwards;

static void on_interrupt(unsigned vector)
{
    (void)vector;
    taken[vcpu_index()]++;
}

static bool on_nmi(struct exception_frame *frame)
{
    (void)frame;
    nmis[vcpu_index()]++;
    return true;
}

static void say_hello(void *argument)
{
    unsigned self = vcpu_index();

    ids[self] = apic_id();
    runs[self] += (uintptr_t)argument;
}

static void sleep_on(void *unused)
{
    (void)unused;
    interrupts_off();
    while (!atomic_load(&leave))
        wait_for_interrupt();
    interrupts_on();
}

static void spin_deaf(void *unused)
{
    (void)unused;
    interrupts_off();
    for (;;)
        cpu_pause();
}

static bool wait_until_idle(unsigned index)
{
    uint64_t end = now_ns() + 1000000000;

    while (!vcpu_is_idle(index) && now_ns() < end)
        atoll_yield();
    return vcpu_is_idle(index);
}

static void start_again_and_again(void)
{
    bool right = true;

    for (unsigned round = 0; round < RESTARTS; round++) {
        for (unsigned i = 1; i < vcpu_count(); i++) {
            int error = vcpu_start(i, say_hello, (void *)1);
            right = right && error == 0 && wait_until_idle(i);
            if (error)
                printf("vCPU %u, start %u: %d\n", i, round + 1, error);
        }
    }
    for (unsigned i = 1; i < vcpu_count(); i++)
        right = right && runs[i] == RESTARTS && ids[i] == i;
    check(right, "each of %u vCPUs starts %u times, with its id", vcpu_count() - 1, RESTARTS);
    check(vcpu_start(0, say_hello, NULL) == -EINVAL &&
              vcpu_start(vcpu_count(), say_hello, NULL) == -EINVAL,
          "the boot vCPU and those that are not there do not start");
}

static void start_the_busy(void)
{
    int started = vcpu_start(1, spin_deaf, NULL), busy = vcpu_start(1, say_hello, NULL);
    int64_t call = atoll_start_vcpu(1, PAGE_SIZE, 0);
    check(started == 0 && busy == -EBUSY && call == -EBUSY, "who runs cannot be started: %d, %ld",
          busy, call);
    runs[1] = 0;
    int error = vcpu_restart(1, say_hello, (void *)1);
    check(error == 0 && wait_until_idle(1) && runs[1] == 1,
          "INIT takes a vCPU out of a loop with interrupts off: %d", error);
    check(vcpu_start(1, sleep_on, NULL) == 0 && vcpu_restart(1, say_hello, (void *)1) == 0 &&
              wait_until_idle(1) && runs[1] == 2,
          "and out of HLT");
}

static void start_bad(void)
{
    check(atoll_start_vcpu(vcpu_count(), PAGE_SIZE, 0) == -EINVAL, "no such vCPU: -EINVAL");
    if (vcpu_count() > 1)
        apic_send_init(1);
    spin_us(1000);
    check(atoll_start_vcpu(1, guest_ram_end(), 0) == -EFAULT, "an entry outside RAM: -EFAULT");
}

/* Sends by `icr` and checks that exactly those of the set `wanted` got it. */
static void expect_at(const char *name, uint64_t icr, uint64_t wanted)
{
    unsigned before[VCPUS_MAX];
    bool right = true;

    for (unsigned i = 0; i < vcpu_count(); i++)
        before[i] = taken[i];
    for (unsigned round = 1; round <= ROUNDS; round++) {
        apic_write(APIC_ICR, icr | VECTOR);
        for (unsigned i = 0; i < vcpu_count(); i++) {
            if (wanted >> i & 1)
                right = wait_for(&taken[i], before[i] + round) == before[i] + round && right;
        }
    }
    for (unsigned i = 0; i < vcpu_count(); i++) {
        unsigned got = taken[i] - before[i];
        if (got != (wanted >> i & 1 ? ROUNDS : 0))
            printf("vCPU %u got %u of %u\n", i, got, ROUNDS);
        right = right && got == (wanted >> i & 1 ? ROUNDS : 0);
    }
    check(right, "%u IPIs by %s", ROUNDS, name);
}

/* All vCPUs below 16 are in the logical cluster 0. */
static void logical(uint64_t all)
{
    uint64_t cluster = all & (BIT(CLUSTER) - 1);

    expect_at("logical destination, one", APIC_ICR_TO(BIT(1)) | APIC_ICR_LOGICAL, BIT(1));
    expect_at("logical destination, a cluster", APIC_ICR_TO(cluster) | APIC_ICR_LOGICAL, cluster);
    if (vcpu_count() > 2)
        expect_at("logical destination, two", APIC_ICR_TO(BIT(0) | BIT(2)) | APIC_ICR_LOGICAL,
                  BIT(0) | BIT(2));
}

static void ipis(void)
{
    uint64_t all = vcpu_count() == VCPUS_MAX ? ~0ull : BIT(vcpu_count()) - 1;
    bool started = true;

    for (unsigned i = 1; i < vcpu_count(); i++)
        started = vcpu_start(i, sleep_on, NULL) == 0 && started;
    check(started, "all vCPUs sleep in HLT");
    expect_at("physical destination", APIC_ICR_TO(1), BIT(1));
    expect_at("the shorthand all but self", APIC_ICR_OTHERS, all & ~1ull);
    expect_at("the shorthand all", APIC_ICR_ALL, all);
    expect_at("broadcast", APIC_ICR_TO(APIC_BROADCAST), all);
    expect_at("a destination that nobody has", APIC_ICR_TO(vcpu_count()), 0);
    logical(all);
    apic_send_nmi(1);
    wait_for(&nmis[1], 1);
    spin_us(200);
    check(nmis[1] == 1, "an NMI wakes a sleeping vCPU (%u)", nmis[1]);
    atomic_store(&leave, true);
    apic_send_others(VECTOR);
    for (unsigned i = 1; i < vcpu_count(); i++)
        started = wait_until_idle(i) && started;
    check(started, "the sleepers leave when they are told to");
    atomic_store(&leave, false);
}

static void count_under_lock(void *unused)
{
    (void)unused;
    barrier_wait(&barrier);
    for (uint64_t i = 0; i < increments; i++) {
        spin_lock(&lock);
        counter++;
        spin_unlock(&lock);
    }
    barrier_wait(&barrier);
}

static void watch_tsc(void *argument)
{
    uint64_t end = now_ns() + (uintptr_t)argument * 1000000;

    barrier_wait(&barrier);
    while (now_ns() < end) {
        spin_lock(&lock);
        __asm__ volatile("lfence" : : : "memory"); /* RDTSC does not wait for the lock by itself */
        uint64_t tsc = rdtsc();
        if (tsc < last_tsc)
            atomic_fetch_add(&backwards, 1);
        last_tsc = tsc;
        spin_unlock(&lock);
    }
    barrier_wait(&barrier);
}

static void together(void (*work)(void *), void *argument)
{
    barrier.parties = vcpu_count();
    for (unsigned i = 1; i < vcpu_count(); i++) {
        if (!wait_until_idle(i) || vcpu_start(i, work, argument)) {
            check(false, "vCPU %u does not start", i);
            guest_exit(checks_done("smp_test"));
        }
    }
    work(argument);
}

int main(void)
{
    interrupt_handler_set(VECTOR, on_interrupt);
    exception_handler_set(VECTOR_NMI, on_nmi);
    if (vcpu_count() < 2) {
        printf("FAILURE: one vCPU alone (vcpus=N)\n");
        return 1;
    }
    start_again_and_again();
    start_the_busy();
    start_bad();
    ipis();
    increments = guest_option_number("increments", INCREMENTS);
    together(count_under_lock, NULL);
    check(counter == vcpu_count() * increments, "a lock keeps %lu increments whole",
          counter);
    together(watch_tsc, (void *)guest_option_number("ms", DEFAULT_MS));
    check(atomic_load(&backwards) == 0, "the TSC never runs backwards between vCPUs (%u)",
          atomic_load(&backwards));
    return checks_done("smp_test");
}
