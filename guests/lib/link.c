/* SPDX-License-Identifier: MIT */
/* Links through the hypervisor's calls. */
#include "guests/lib/guest.h"

#define LINKS_MAX  64 /* a guest has fewer */
#define CACHE_LINE 64

int link_open(struct link *link, unsigned slot)
{
    struct atoll_link_info info = {0};

    if (atoll_link_info(slot, &info, offsetof(struct atoll_link_info, peer)) < 0)
        return -ENOENT;
    *link = (struct link){
        .slot = slot,
        .pages = (char *)(uintptr_t)info.address,
        .size = info.pages * PAGE_SIZE,
        .self = info.self,
        .peers = info.peers,
        .writable = info.writable,
    };
    return 0;
}

int link_open_named(struct link *link, const char *name)
{
    for (unsigned slot = 0; slot < LINKS_MAX; slot++) {
        struct atoll_link_info info = {0};
        if (atoll_link_info(slot, &info, offsetof(struct atoll_link_info, peer)) < 0)
            return -ENOENT;
        if (strncmp(info.name, name, sizeof(info.name)) == 0)
            return link_open(link, slot);
    }
    return -ENOENT;
}

int link_peer(const struct link *link, unsigned peer, struct atoll_link_peer *result)
{
    struct atoll_link_info info = {0};

    if (peer >= ATOLL_LINK_PEERS)
        return -ENOENT;
    size_t size = offsetof(struct atoll_link_info, peer) + (peer + 1) * sizeof(info.peer[0]);
    if (atoll_link_info(link->slot, &info, size) < (int64_t)size || peer >= info.peers)
        return -ENOENT;
    *result = info.peer[peer];
    return 0;
}

bool link_peer_alive(const struct link *link, unsigned peer)
{
    struct atoll_link_peer state;

    return link_peer(link, peer, &state) == 0 && state.alive;
}

bool link_peer_gone(const struct link *link, unsigned peer)
{
    struct atoll_link_peer state;

    return link_peer(link, peer, &state) == 0 && !state.alive && state.generation > 0;
}

int link_ring(const struct link *link, uint64_t peer)
{
    return (int)atoll_link_ring(link->slot, peer);
}

int link_interrupt_set(struct link *link, unsigned vector, void (*handler)(unsigned vector))
{
    interrupt_handler_set(vector, handler);
    int error = (int)atoll_link_vector(link->slot, vector);
    if (!error)
        link->vector = vector;
    return error;
}

bool link_noticed(struct link *link, unsigned peer)
{
    int64_t bits = atoll_link_poll(link->slot);
    uint64_t bit = BIT(peer);

    /* Errors are small negative numbers, and so is a set of bits with that of peer 63: an open link
     * gives no error. */
    atomic_fetch_or(&link->noticed, (uint64_t)bits);
    return atomic_fetch_and(&link->noticed, ~bit) & bit;
}

void *link_area(const struct link *link, size_t index, size_t count, size_t *bytes)
{
    if (index >= count)
        return NULL;
    *bytes = ALIGN_DOWN(link->size / count, (size_t)CACHE_LINE);
    return *bytes > 0 ? link->pages + index * *bytes : NULL;
}
