/* SPDX-License-Identifier: MIT */
/* Two hvt guests whose trace tells how long a frame takes to a guest that waits in POLL: one, with
 * do=send, has no other calls than NET_WRITE once it has begun, each when the other one waits
 * again. Options: n=N frames (50). */
#include "guests/hvt/lib/guest.h"

#define FRAME_SIZE     64
#define DEFAULT_FRAMES 50
#define SETTLE_US      100 /* the other one waits again by then */
#define START_MS       5
#define PATIENCE_MS    100

HVT_DEVICES(HVT_NET("net"));

static struct net net;
static union {
    uint8_t bytes[FRAME_SIZE];
    struct ethhdr ethernet;
} frame;

static int send(uint64_t count)
{
    memset(frame.ethernet.h_dest, 0xff, ETH_ALEN);
    memcpy(frame.ethernet.h_source, net.mac, ETH_ALEN);
    sleep_ms(START_MS);
    for (uint64_t i = 0; i < count; i++) {
        spin_us(SETTLE_US);
        if (net_send(&net, &frame, sizeof(frame)))
            return 1;
    }
    spin_us(SETTLE_US);
    return 0;
}

static int receive(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        net_wait(rdtsc() + PATIENCE_MS * (tsc_hz() / 1000));
        if (net_receive(&net, &frame, sizeof(frame)) != FRAME_SIZE)
            return 1;
    }
    return 0;
}

int main(void)
{
    uint64_t count = guest_option_number("n", DEFAULT_FRAMES);

    if (net_open(&net, "net"))
        return 2;
    return guest_option("do") ? send(count) : receive(count);
}
