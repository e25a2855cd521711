/* SPDX-License-Identifier: MIT */
/* A guest of a ring: what it gets from its predecessor it hands on to its successor, round and
 * round. Number 0 sends the token out and measures how long it is under way. Successor and
 * predecessor are peers of one link, by their numbers there, or of two links with two peers each.
 * Options: rounds=N (50), for number 0; out=LINK and in=LINK (the first link of the module line);
 * peers=N, as many as the ring has (those of the link); id=N (the peer number in the link `out`).
 */
#include "guests/lib/guest.h"

#define DEFAULT_ROUNDS 50

struct token {
    uint64_t hops; /* so far */
    uint64_t last; /* this is the last round */
};

static struct link out_link, in_link;
static struct channel out, in;

static unsigned ring_size(const struct link *link)
{
    return (unsigned)guest_option_number("peers", link->peers);
}

static int open_links(struct link **receive_from)
{
    const char *out_name = guest_option("out"), *in_name = guest_option("in");
    int error = out_name ? link_open_named(&out_link, out_name) : link_open(&out_link, 0);

    *receive_from = in_name ? &in_link : &out_link;
    if (!error && in_name)
        error = link_open_named(&in_link, in_name);
    return error;
}

/* Each peer has one area of the pages: that of what it sends. */
static int open_channels(struct link *from)
{
    unsigned out_size = ring_size(&out_link), in_size = ring_size(from);
    size_t bytes = 0;

    if (out_size < 2 || in_size < 2 || out_link.self >= out_size || from->self >= in_size)
        return -EINVAL;
    unsigned successor = (out_link.self + 1) % out_size;
    unsigned predecessor = (from->self + in_size - 1) % in_size;
    void *memory = link_area(&out_link, out_link.self, out_size, &bytes);
    int error = channel_open(&out, &out_link, successor, RING_SENDER, memory, bytes);
    if (error)
        return error;
    memory = link_area(from, predecessor, in_size, &bytes);
    return channel_open(&in, from, predecessor, RING_RECEIVER, memory, bytes);
}

/* False: the ring is broken. */
static bool get(struct token *token)
{
    int length = channel_receive(&in, token, sizeof(*token), 0);

    if (length == sizeof(*token))
        return true;
    printf("token: nothing good comes from peer %u (%d)\n", in.peer, length);
    return false;
}

static bool put(struct token *token)
{
    token->hops++;
    int error = channel_send(&out, token, sizeof(*token));
    if (error)
        printf("token: peer %u takes nothing (%d)\n", out.peer, error);
    return !error;
}

static int hand_on(unsigned id)
{
    struct token token = {0};
    uint64_t count = 0;

    do {
        if (!get(&token) || !put(&token))
            return 1;
        count++;
    } while (!token.last);
    printf("token: number %u handed it on %lu times\n", id, count);
    return 0;
}

static uint64_t microseconds(uint64_t ticks)
{
    return ticks * 1000000 / tsc_hz();
}

/* The first round waits for guests that have not started yet: it does not count. */
static int send_round(uint64_t rounds)
{
    struct token token = {0};
    uint64_t shortest = UINT64_MAX, sum = 0, size = 0;

    for (uint64_t round = 0; round <= rounds; round++) {
        uint64_t start = rdtsc(), hops = token.hops;
        token.last = round == rounds;
        if (!put(&token) || !get(&token))
            return 1;
        uint64_t ticks = rdtsc() - start;
        if (round == 0) {
            size = token.hops;
            continue;
        }
        if (token.hops - hops != size) {
            printf("FAILURE: %lu hops in round %lu, not %lu\n", token.hops - hops, round, size);
            return 1;
        }
        shortest = MIN(shortest, ticks);
        sum += ticks;
    }
    printf("token: %lu guests, %lu rounds: shortest %lu us, mean %lu us, %lu ns a hop\n", size,
           rounds, microseconds(shortest), microseconds(sum / rounds),
           microseconds(sum * 1000 / (rounds * size)));
    return 0;
}

int main(void)
{
    struct link *from;
    int error = open_links(&from);

    if (!error)
        error = open_channels(from);
    if (error) {
        printf("token: no ring can be made of my links (%d)\n", error);
        return 2;
    }
    unsigned id = (unsigned)guest_option_number("id", out_link.self);
    return id == 0 ? send_round(MAX(guest_option_number("rounds", DEFAULT_ROUNDS), 1u))
                   : hand_on(id);
}
