/* SPDX-License-Identifier: MIT */
/* Network devices by the hvt calls. */
#include "guests/hvt/lib/guest.h"

#define US_PER_SECOND 1000000
#define NS_PER_US     1000

int net_open(struct net *net, const char *name)
{
    uint64_t device = device_handle(name, HVT_DEVICE_NET);

    if (device == 0)
        return -ENOENT;
    *net = (struct net){.device = device, .mtu = device_info(device)->net.mtu};
    memcpy(net->mac, device_info(device)->net.mac, ETH_ALEN);
    return 0;
}

int net_send(const struct net *net, const void *frame, size_t size)
{
    return hvt_net_write(net->device, frame, size) == HVT_OK ? 0 : -EINVAL;
}

int net_receive(const struct net *net, void *frame, size_t size)
{
    switch (hvt_net_read(net->device, frame, &size)) {
    case HVT_OK:
        return (int)size;
    case HVT_AGAIN:
        return -EAGAIN;
    default:
        return -EINVAL;
    }
}

void net_wait(uint64_t deadline)
{
    uint64_t now = rdtsc();

    if (!deadline)
        hvt_poll(UINT64_MAX);
    else if (now < deadline)
        hvt_poll(((deadline - now) / (tsc_hz() / US_PER_SECOND) + 1) * NS_PER_US);
}

bool net_count(const struct net *net, struct net_counters *counters)
{
    (void)net;
    (void)counters;
    return false; /* there is no such call */
}
