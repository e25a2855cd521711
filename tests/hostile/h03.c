/* SPDX-License-Identifier: MIT */
/* H03: vCPU 1 keeps rewriting the source address of a frame while vCPU 0 sends it, 20000 times
 * (n=1: who receives). Expected: what was checked is what arrives: no frame with a false source,
 * though many of those were sent. */
#include "tests/hostile/hostile.h"

#define FRAMES    20000
#define LAST      20
#define TYPE      0xb588 /* for local experiments, in network order */
#define WAIT_S    4
#define FRAME_MIN 64

struct frame {
    uint8_t to[ETH_ALEN], from[ETH_ALEN];
    uint16_t type;
    uint8_t truth[ETH_ALEN]; /* the address that is right */
    uint8_t last;            /* no more follow */
    uint8_t padding[FRAME_MIN];
} __attribute__((packed));

static volatile struct frame frame;
static struct net net;
static _Atomic bool stop;

static void flip(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        frame.from[0] ^= 1; /* of a group: nobody's */
    }
}

static void send(void)
{
    struct net_counters counters;

    memset((void *)frame.to, 0xff, ETH_ALEN);
    memcpy((void *)frame.from, net.mac, ETH_ALEN);
    memcpy((void *)frame.truth, net.mac, ETH_ALEN);
    frame.type = TYPE;
    expect(vcpu_start(1, flip, NULL) == 0, "vCPU 1 does not start");
    for (unsigned i = 0; i < FRAMES; i++) {
        expect(net_send(&net, (const void *)&frame, sizeof(frame)) == 0, "a frame is refused");
        if (i % 32 == 0)
            atoll_yield(); /* or the other's queue is full */
    }
    atomic_store(&stop, true);
    while (!vcpu_is_idle(1))
        atoll_yield();
    memcpy((void *)frame.from, net.mac, ETH_ALEN);
    frame.last = 1;
    for (unsigned i = 0; i < LAST; i++) {
        net_send(&net, (const void *)&frame, sizeof(frame));
        sleep_ms(2);
    }
    expect(net_count(&net, &counters) && counters.sent == FRAMES + LAST, "%lu frames sent",
           counters.sent);
    expect(counters.sent_dropped > 0, "the address was never a false one");
}

static void receive(void)
{
    static struct frame got;
    uint64_t end = rdtsc() + tsc_hz() * WAIT_S;
    unsigned frames = 0, false_ones = 0;

    while (!got.last && rdtsc() < end) {
        int size = net_receive(&net, &got, sizeof(got));
        if (size == -EAGAIN) {
            net_wait(end);
            continue;
        }
        frames++;
        false_ones += memcmp(got.from, got.truth, ETH_ALEN) != 0;
    }
    expect(got.last, "the last frame did not come");
    expect(frames > 100, "only %u frames came", frames);
    expect(false_ones == 0, "%u of %u frames have a false source", false_ones, frames);
}

CASE(h03)
{
    expect(net_open(&net, "eth") == 0, "no network device");
    if (variant() == 0)
        send();
    else
        receive();
}
