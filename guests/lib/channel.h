/* SPDX-License-Identifier: MIT */
/* One direction between two peers of a link: a ring in the shared pages, and the doorbell when the
 * receiver sleeps. */
#ifndef GUESTS_LIB_CHANNEL_H
#define GUESTS_LIB_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "guests/lib/link.h"
#include "guests/lib/ring.h"

struct channel {
    struct link *link;
    unsigned peer; /* at the other end */
    struct ring ring;
};

/* Takes one end of the channel in `bytes` at `memory`, an area of the link's pages. The receiving
 * end asks for the link's doorbells on this vCPU, which is the one to receive, unless the link has
 * a vector. 0 or a negative errno. */
int channel_open(struct channel *channel, struct link *link, unsigned peer, enum ring_end end,
                 void *memory, size_t bytes);

/* Sends, without waiting, and rings the peer if it sleeps. 0, or as ring_put. */
int channel_send(struct channel *channel, const void *message, size_t length);

/* Receives one message, sleeping in HLT until there is one. Results as of ring_get, but for
 * -EAGAIN: -EPIPE when the peer has died and left nothing (once for each death), -ETIMEDOUT when
 * the TSC has reached `deadline` (0: never; else the vCPU's timer is taken for it). */
int channel_receive(struct channel *channel, void *buffer, size_t size, uint64_t deadline);

#endif
