/* SPDX-License-Identifier: MIT */
/* How long a doorbell takes: peer 0 rings peer 1 and waits until that has rung back. The smallest
 * round trip of many is printed, in TSC ticks, which are instructions on one simulated processor.
 * Options: n=N rounds (200). Peer 1 sleeps in HLT, or with wait=spin spins; peer 0 spins, or with
 * wait=sleep sleeps. */
#include "guests/lib/guest.h"

#define VECTOR         0x50
#define DEFAULT_ROUNDS 200
#define SETTLE_US      50 /* the other one is asleep again by then */

static struct link link;
static volatile bool rung;

static void on_answer(unsigned vector)
{
    (void)vector;
    rung = true;
}

static void on_question(unsigned vector)
{
    (void)vector;
    atoll_link_ring(link.slot, 0);
}

static bool waits_by(const char *wanted)
{
    const char *wait = guest_option("wait");
    return wait && strcmp(wait, wanted) == 0;
}

static void wait_for_answer(bool sleeps)
{
    if (sleeps)
        interrupts_off();
    while (!rung)
        if (sleeps)
            wait_for_interrupt();
    interrupts_on();
}

static int ask(void)
{
    uint64_t rounds = guest_option_number("n", DEFAULT_ROUNDS);
    bool sleeps = waits_by("sleep");
    uint64_t shortest = UINT64_MAX;

    for (uint64_t i = 0; i < rounds; i++) {
        spin_us(SETTLE_US);
        rung = false;
        uint64_t start = rdtsc();
        if (atoll_link_ring(link.slot, 1) < 0)
            return 1;
        wait_for_answer(sleeps);
        shortest = MIN(shortest, rdtsc() - start);
    }
    printf("bell: round trip %lu ticks\n", shortest);
    return 0;
}

static int answer(void)
{
    bool spins = waits_by("spin");

    while (!link_peer_gone(&link, 0)) {
        if (spins) {
            spin_us(10 * SETTLE_US);
        } else {
            interrupts_off();
            wait_for_interrupt();
            interrupts_on();
        }
    }
    return 0;
}

int main(void)
{
    if (link_open(&link, 0) < 0)
        return 2;
    interrupt_handler_set(VECTOR, link.self == 0 ? on_answer : on_question);
    atoll_link_vector(link.slot, VECTOR);
    if (link.self != 0)
        return answer();
    while (!link_peer_alive(&link, 1))
        sleep_ms(1);
    sleep_ms(2); /* it has its handler */
    return ask();
}
