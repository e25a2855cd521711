/* SPDX-License-Identifier: MIT */
/* Links: pages shared with other VMs, and doorbells (include/atoll/abi.h). Whatever stands in the
 * pages was written by peers that nobody vouches for. */
#ifndef GUESTS_LIB_LINK_H
#define GUESTS_LIB_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atoll/abi.h"

struct link {
    unsigned slot;
    char *pages; /* the shared pages, of `size` bytes */
    size_t size;
    unsigned self;  /* this guest's peer number */
    unsigned peers; /* as many as had a number when the link was opened */
    bool writable;
    unsigned vector;          /* of link_interrupt_set */
    _Atomic uint64_t noticed; /* bits of LINK_POLL that nobody has asked for yet */
};

/* Opens the guest's link number `slot`, or the one of this name. 0 or -ENOENT. */
int link_open(struct link *link, unsigned slot);
int link_open_named(struct link *link, const char *name);

/* What the hypervisor knows of a peer. 0, -ENOENT for one that has no number. */
int link_peer(const struct link *link, unsigned peer, struct atoll_link_peer *result);

/* Does the peer run now? */
bool link_peer_alive(const struct link *link, unsigned peer);

/* Has it been there, and is there no more? */
bool link_peer_gone(const struct link *link, unsigned peer);

/* Rings a peer, ATOLL_LINK_ALL for every other. Results as of ATOLL_CALL_LINK_RING. */
int link_ring(const struct link *link, uint64_t peer);

/* From now on doorbells, deaths and arrivals call `handler` on the vCPU that asks here. 0, or as
 * ATOLL_CALL_LINK_VECTOR. */
int link_interrupt_set(struct link *link, unsigned vector, void (*handler)(unsigned vector));

/* Has this peer rung, come or died since it was last asked about? One vCPU may ask at a time. */
bool link_noticed(struct link *link, unsigned peer);

/* Area `index` of `count` equal ones in the shared pages, each on a cache line's boundary, with its
 * size in `bytes`. NULL when there is none. For rings from each peer to each, index is
 * from * peers + to and count is peers * peers. */
void *link_area(const struct link *link, size_t index, size_t count, size_t *bytes);

#endif
