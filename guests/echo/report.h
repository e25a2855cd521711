/* SPDX-License-Identifier: MIT */
/* A frame that asks for what the receiver's port counted, and its answer: between pinger and echo,
 * which are on one machine, so numbers are in its order. */
#ifndef GUESTS_ECHO_REPORT_H
#define GUESTS_ECHO_REPORT_H

#include "guests/lib/net.h"

#define ETH_P_REPORT 0xb588 /* as it stands in a frame: the first number for experiments */

struct report_packet {
    struct ethhdr ethernet;
    uint8_t is_answer;
    uint8_t known; /* does the answer know the counters? */
    struct net_counters counters;
} __attribute__((packed));

#endif
