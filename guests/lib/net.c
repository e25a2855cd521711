/* SPDX-License-Identifier: MIT */
/* Network devices by Atoll's calls. A frame's interrupt only says that one came: it ends HLT. */
#include "guests/lib/guest.h"

static _Atomic bool frame_came;

static void on_frame(unsigned vector)
{
    (void)vector;
    atomic_store(&frame_came, true);
}

/* That the interrupt came is all there is to it. */
static void on_timer(unsigned vector)
{
    (void)vector;
}

int net_open(struct net *net, const char *name)
{
    struct atoll_device_info info;
    int64_t device = device_find(ATOLL_DEVICE_NET, name, &info);

    if (device < 0)
        return (int)device;
    *net = (struct net){.device = (uint64_t)device, .mtu = (uint16_t)info.mtu};
    memcpy(net->mac, info.mac, ETH_ALEN);
    interrupt_handler_set(INTERRUPT_NET, on_frame);
    interrupt_handler_set(INTERRUPT_NET_TIMER, on_timer);
    return (int)atoll_net_vector(net->device, INTERRUPT_NET);
}

int net_send(const struct net *net, const void *frame, size_t size)
{
    return (int)atoll_net_write(net->device, frame, size);
}

int net_receive(const struct net *net, void *frame, size_t size)
{
    return (int)atoll_net_read(net->device, frame, size);
}

void net_wait(uint64_t deadline)
{
    if (deadline)
        apic_timer_deadline(INTERRUPT_NET_TIMER, deadline);
    interrupts_off();
    while (!atomic_load(&frame_came) && (!deadline || rdtsc() < deadline))
        wait_for_interrupt();
    atomic_store(&frame_came, false);
    interrupts_on();
    if (deadline)
        apic_timer_stop();
}

bool net_count(const struct net *net, struct net_counters *counters)
{
    struct atoll_device_info info;

    if (atoll_device_info(net->device, &info, sizeof(info)) < 0)
        return false;
    *counters = (struct net_counters){
        .received = info.received,
        .received_dropped = info.received_dropped,
        .sent = info.sent,
        .sent_dropped = info.sent_dropped,
    };
    return true;
}
