/* SPDX-License-Identifier: MIT */
/* H08: a guest fills the pages of a link and dies (n=0) while another has them mapped (n=1).
 * Expected: they stay what they were, whoever gets the dead one's memory. */
#include "tests/hostile/hostile.h"

#define PATTERN  0x6772617665000000ull
#define WATCH_NS 100000000ull
#define WAIT_NS  3000000000ull

static uint64_t words(const struct link *link)
{
    return link->size / sizeof(uint64_t);
}

static bool is_filled(const struct link *link)
{
    const volatile uint64_t *at = (uint64_t *)link->pages;

    for (uint64_t i = 0; i < words(link); i++) {
        if (at[i] != PATTERN + i)
            return false;
    }
    return true;
}

CASE(h08)
{
    struct link link;
    uint64_t end = now_ns() + WAIT_NS;

    expect(link_open(&link, 0) == 0, "no link");
    if (variant() == 0) {
        volatile uint64_t *at = (uint64_t *)link.pages;
        for (uint64_t i = 0; i < words(&link); i++)
            at[i] = PATTERN + i;
        return;
    }
    unsigned other = !link.self;
    while (!link_peer_gone(&link, other) && now_ns() < end)
        atoll_yield();
    expect(link_peer_gone(&link, other), "the other one lives");
    for (end = now_ns() + WATCH_NS; now_ns() < end; atoll_yield())
        expect(is_filled(&link), "the pages of the dead one changed");
}
