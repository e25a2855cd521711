/* SPDX-License-Identifier: MIT */
/* A guest that tests its links: what it is told of them and of its peers, that shared pages are
 * shared, and the calls' errors. Options: peers=N, for how many it waits on each link (2);
 * do=write, then stores into the first link's pages, which may be its end; do=watch, watches peer=I
 * (1) of the first link die lives=N times (1). */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define VECTOR      0x45
#define PATIENCE_NS 3000000000ull

static struct link watched;
static volatile unsigned interrupts;

static void on_interrupt(unsigned vector)
{
    (void)vector;
    interrupts++;
}

/* One that has done its part may have left again. */
static bool all_came(struct link *link, unsigned peers)
{
    struct atoll_link_peer peer;
    unsigned came = 0;

    for (unsigned i = 0; i < peers; i++)
        came += link_peer(link, i, &peer) == 0 && peer.generation > 0;
    return came == peers;
}

static void describe(struct link *link, const char *name)
{
    struct atoll_link_peer peer;

    link_open(link, link->slot); /* more peers may have come */
    printf("link %s: peer %u of %u, %lu pages at %p, writable %u\n", name, link->self, link->peers,
           (unsigned long)(link->size / PAGE_SIZE), (void *)link->pages, link->writable);
    for (unsigned i = 0; link_peer(link, i, &peer) == 0; i++)
        printf("link %s: peer %u is %s, VM %u, generation %u, alive %u, writable %u\n", name, i,
               peer.name, peer.vm, peer.generation, peer.alive, peer.writable);
}

static _Atomic uint64_t *words_of(const struct link *link)
{
    return (_Atomic uint64_t *)(link->pages + link->size - PAGE_SIZE);
}

/* Each peer that may writes its number into a word of its own, in each of its links: one waits for
 * the words of one link while another waits for those of the next. */
static void write_words(void)
{
    struct link link;

    for (unsigned slot = 0; link_open(&link, slot) == 0; slot++)
        if (link.writable)
            atomic_store(&words_of(&link)[link.self], link.self + 100);
}

static void see_words(const struct link *link, unsigned peers)
{
    _Atomic uint64_t *words = words_of(link);
    uint64_t end = now_ns() + PATIENCE_NS;
    unsigned seen = 0, wanted = 0;
    struct atoll_link_peer peer;

    for (unsigned i = 0; i < peers && link_peer(link, i, &peer) == 0; i++) {
        if (!peer.writable)
            continue;
        wanted++;
        while (atomic_load(&words[i]) != i + 100 && now_ns() < end)
            sleep_ms(1);
        seen += atomic_load(&words[i]) == i + 100;
    }
    check(seen == wanted && wanted > 0, "the last page has what %u of %u peers wrote", seen,
          wanted);
}

static void errors(const struct link *link)
{
    struct atoll_link_info info;
    uint64_t outside = guest_ram_end();

    check(atoll_link_info(8, &info, sizeof(info)) == -ENOENT &&
              atoll_link_info(~0ull, &info, sizeof(info)) == -ENOENT &&
              atoll_link_poll(8) == -ENOENT && atoll_link_ring(8, 0) == -ENOENT &&
              atoll_link_vector(8, VECTOR) == -ENOENT,
          "a link that is not there: -ENOENT");
    check(atoll_link_info(link->slot, (void *)outside, sizeof(info)) == -EFAULT,
          "a buffer outside RAM: -EFAULT");
    check(atoll_link_info(link->slot, (void *)link->pages, sizeof(info)) == -EFAULT,
          "a buffer in the link: -EFAULT");
    check(atoll_link_vector(link->slot, 31) == -EINVAL &&
              atoll_link_vector(link->slot, 256) == -EINVAL,
          "vectors 31 and 256: -EINVAL");
    check(atoll_link_ring(link->slot, ATOLL_LINK_PEERS) == -EINVAL &&
              atoll_link_ring(link->slot, ~0ull - 1) == -EINVAL,
          "peers that never were: -EINVAL");
}

static void test_link(unsigned slot, unsigned peers)
{
    uint64_t end = now_ns() + PATIENCE_NS;
    struct atoll_link_info info;
    struct link link;

    if (atoll_link_info(slot, &info, sizeof(info)) < 0 || link_open(&link, slot))
        return;
    while (!all_came(&link, peers) && now_ns() < end)
        sleep_ms(1);
    check(all_came(&link, peers), "%u peers are here", peers);
    describe(&link, info.name);
    see_words(&link, peers);
    errors(&link);
}

/* Sleeps in HLT until the peer has lived and died `lives` times: each change interrupts. */
static void watch(unsigned peer, unsigned lives)
{
    struct atoll_link_peer state = {0};
    unsigned noticed = 0, deaths = 0, last = 0;

    check(link_open(&watched, 0) == 0 && link_interrupt_set(&watched, VECTOR, on_interrupt) == 0,
          "deaths and arrivals are to interrupt");
    interrupts_off();
    while (deaths < lives) {
        link_peer(&watched, peer, &state);
        if (!state.alive && state.generation > last) {
            last = state.generation;
            deaths++;
            printf("peer %u is dead, generation %u\n", peer, last);
            check(link_ring(&watched, peer) == -EPIPE, "who rings it gets -EPIPE");
            continue;
        }
        wait_for_interrupt();
        noticed += link_noticed(&watched, peer);
    }
    interrupts_on();
    check(interrupts > 0 && noticed > 0, "%u interrupts, %u changes noticed", interrupts, noticed);
}

int main(void)
{
    unsigned peers = (unsigned)guest_option_number("peers", 2);
    const char *what = guest_option("do");
    struct link link;

    if (what && strcmp(what, "watch") == 0) {
        watch((unsigned)guest_option_number("peer", 1), (unsigned)guest_option_number("lives", 1));
        return checks_done("link_test");
    }
    write_words();
    for (unsigned slot = 0; slot < 8; slot++)
        test_link(slot, peers);
    check(link_open(&link, 0) == 0, "there is a link");
    if (what && strcmp(what, "write") == 0) {
        *(volatile uint64_t *)(link.pages + 8) = 1;
        printf("still alive behind a store\n");
    }
    return checks_done("link_test");
}
