/* SPDX-License-Identifier: MIT */
/* A guest that answers its neighbour's requests over their link, however often that one dies and
 * comes again. It ends when the neighbour has finished well. Options: ms=N, the longest it waits
 * for that (10000). */
#include "guests/lib/guest.h"
#include "guests/server/protocol.h"

#define DEFAULT_MS 10000

static struct link link;
static struct channel requests, answers;
static uint64_t served, broken, lost;

static int open_channels(void)
{
    unsigned client;
    size_t bytes = 0;
    int error = link_open(&link, 0);

    if (error)
        return error;
    client = link.self == 0 ? 1 : 0;
    void *memory = link_area(&link, AREA_REQUESTS, AREAS, &bytes);
    error = channel_open(&requests, &link, client, RING_RECEIVER, memory, bytes);
    if (error)
        return error;
    memory = link_area(&link, AREA_ANSWERS, AREAS, &bytes);
    return channel_open(&answers, &link, client, RING_SENDER, memory, bytes);
}

static void answer(struct request *request)
{
    static uint64_t life;

    if (request->life != life)
        printf("server: my neighbour lives its life %lu\n", request->life);
    life = request->life;
    request->value = answer_to(request->value);
    if (channel_send(&answers, request, sizeof(*request)))
        lost++; /* who does not fetch answers gets none */
    served++;
}

static bool finished(void)
{
    size_t bytes;
    struct board *board = link_area(&link, AREA_BOARD, AREAS, &bytes);

    return atomic_load(&board->finished);
}

/* False: there is nothing more to do. */
static bool serve(uint64_t deadline)
{
    struct request request;
    int length = channel_receive(&requests, &request, sizeof(request), deadline);

    if (length == sizeof(request)) {
        answer(&request);
        return true;
    }
    if (length == -ETIMEDOUT)
        return false;
    if (length == -EPIPE) {
        printf("server: my neighbour is gone\n");
        return !finished();
    }
    broken++;
    if (length == -EPROTO)
        ring_skip(&requests.ring);
    return true;
}

/* Of its starts, all but the present or the well-ended one. */
static unsigned deaths(void)
{
    struct atoll_link_peer client = {0};

    if (link_peer(&link, requests.peer, &client) || client.generation == 0)
        return 0;
    return client.generation - (client.alive || finished());
}

int main(void)
{
    uint64_t ms = guest_option_number("ms", DEFAULT_MS);
    uint64_t deadline = rdtsc() + ms * (tsc_hz() / 1000);
    int error = open_channels();

    if (error) {
        printf("server: there is no link to serve (%d)\n", error);
        return 2;
    }
    while (serve(deadline))
        ;
    printf("server: %lu requests served, %u deaths seen, %lu broken messages, %lu answers lost%s\n",
           served, deaths(), broken, lost, finished() ? "" : ", and the time is over");
    return 0;
}
