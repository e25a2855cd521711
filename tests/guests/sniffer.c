/* SPDX-License-Identifier: MIT */
/* Counts the frames that come for its network device in `ms=` milliseconds: those to all, and those
 * to somebody else. It begins to look after `delay=` milliseconds. */
#include "guests/lib/guest.h"

#define MAC_GROUP     1

int main(void)
{
    static uint8_t frame[NET_FRAME_MAX];
    uint64_t to_all = 0, to_others = 0;
    struct net net;

    if (net_open(&net, "net"))
        return 2;
    sleep_ms(guest_option_number("delay", 0));
    uint64_t end = rdtsc() + guest_option_number("ms", 10) * (tsc_hz() / 1000);
    while (rdtsc() < end) {
        if (net_receive(&net, frame, sizeof(frame)) < 0) {
            net_wait(end);
            continue;
        }
        to_all += frame[0] & MAC_GROUP;
        to_others += !(frame[0] & MAC_GROUP) && memcmp(frame, net.mac, ETH_ALEN) != 0;
    }
    printf("sniffer: %lu frames to all, %lu to others\n", to_all, to_others);
    return 0;
}
