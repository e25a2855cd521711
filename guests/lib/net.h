/* SPDX-License-Identifier: MIT */
/* Network devices: Ethernet frames out and in, and sleep until one comes. Guests of both kinds have
 * these functions, each by its own calls: net.c here and in guests/hvt/lib. */
#ifndef GUESTS_LIB_NET_H
#define GUESTS_LIB_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/if_ether.h>

#define NET_FRAME_MAX (ETH_HLEN + 9000) /* of any device */

struct net {
    uint64_t device; /* its number in the guest's calls */
    uint8_t mac[ETH_ALEN];
    uint16_t mtu;
};

/* As in struct atoll_device_info. */
struct net_counters {
    uint64_t received, received_dropped, sent, sent_dropped;
};

/* Opens the guest's network device of this name. 0 or -ENOENT. */
int net_open(struct net *net, const char *name);

/* Sends a frame. 0, or -EINVAL: it is shorter than its header or longer than the MTU allows. */
int net_send(const struct net *net, const void *frame, size_t size);

/* Takes the next frame. Returns its bytes, as many as `size` at most; -EAGAIN: there is none. */
int net_receive(const struct net *net, void *frame, size_t size);

/* Sleeps until a frame comes for any device that is open, or the TSC reaches `deadline` (0: there
 * is none); it may return early. Before it, net_receive has found none for any of them. */
void net_wait(uint64_t deadline);

/* What the hypervisor counts at the device's port. False: such a guest cannot know. */
bool net_count(const struct net *net, struct net_counters *counters);

#endif
