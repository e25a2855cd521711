/* SPDX-License-Identifier: MIT */
/* How long a message takes to the other end of a link and back: peer 0 sends it through a ring in
 * the shared pages, peer 1 sends it back through another one, and each sleeps in HLT until the
 * doorbell rings. The median of many round trips is printed, in TSC ticks. */
#include "guests/lib/guest.h"

#define SAMPLES   201
#define SETTLE_US 50 /* the other one is asleep again by then */

static struct link link;
static struct channel out, in;
static uint64_t samples[SAMPLES];

static int open_channels(unsigned peer)
{
    size_t bytes = 0;
    void *memory = link_area(&link, link.self, 2, &bytes);
    int error = channel_open(&out, &link, peer, RING_SENDER, memory, bytes);
    if (error)
        return error;
    memory = link_area(&link, peer, 2, &bytes);
    return channel_open(&in, &link, peer, RING_RECEIVER, memory, bytes);
}

static int receive(uint64_t *message)
{
    return channel_receive(&in, message, sizeof *message, 0) == sizeof *message ? 0 : -EPIPE;
}

static int round_trip(uint64_t number)
{
    uint64_t message = number, start = rdtsc();
    if (channel_send(&out, &message, sizeof message) || receive(&message))
        return -EPIPE;
    uint64_t ticks = rdtsc() - start;
    uint64_t at = number;
    for (; at > 0 && samples[at - 1] > ticks; at--)
        samples[at] = samples[at - 1];
    samples[at] = ticks;
    return message == number ? 0 : -EPROTO;
}

static int ask(void)
{
    for (uint64_t i = 0; i < SAMPLES; i++) {
        atoll_sleep_for(SETTLE_US * 1000);
        if (round_trip(i))
            return 1;
    }
    printf("ping: round trip %lu ticks\n", samples[SAMPLES / 2]);
    return 0;
}

static int answer(void)
{
    uint64_t message;
    while (!receive(&message))
        if (channel_send(&out, &message, sizeof message))
            return 1;
    return 0;
}

int main(void)
{
    if (link_open(&link, 0) < 0 || open_channels(1 - link.self))
        return 2;
    return link.self == 0 ? ask() : answer();
}
