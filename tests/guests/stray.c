/* SPDX-License-Identifier: MIT */
/* Sends `n=` frames (10) of the full size to an address that nobody has by its network device net,
 * then one from that address to all by its device other, if it has that, then `n=` as at first.
 * It waits `delay=` milliseconds before. */
#include "guests/lib/guest.h"

static const uint8_t nobody[ETH_ALEN] = {2, 'N', 'O', 'B', 'O', 'D'};
static const uint8_t everybody[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static int send(const struct net *net, const uint8_t *to, const uint8_t *from)
{
    static uint8_t frame[NET_FRAME_MAX];

    memcpy(frame, to, ETH_ALEN);
    memcpy(frame + ETH_ALEN, from, ETH_ALEN);
    return net_send(net, frame, ETH_HLEN + net->mtu);
}

static unsigned receive_all(const struct net *net)
{
    static uint8_t frame[NET_FRAME_MAX];
    unsigned count = 0;

    while (net_receive(net, frame, sizeof(frame)) >= 0)
        count++;
    return count;
}

int main(void)
{
    uint64_t count = guest_option_number("n", 10);
    struct net net, other;
    int errors = 0;

    if (net_open(&net, "net"))
        return 2;
    sleep_ms(guest_option_number("delay", 0));
    for (uint64_t i = 0; i < count; i++)
        errors += send(&net, nobody, net.mac) != 0;
    if (net_open(&other, "other") == 0) {
        receive_all(&other);
        errors += send(&other, everybody, nobody) != 0;
        for (uint64_t i = 0; i < count; i++)
            errors += send(&net, nobody, net.mac) != 0;
        printf("stray: %u frames came where the address was learned\n", receive_all(&other));
    }
    return errors > 0;
}
