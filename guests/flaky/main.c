/* SPDX-License-Identifier: MIT */
/* A guest that crashes after a while, in one of several ways, until its last life: the client of
 * `server`. A page of their link, which outlives it, counts its lives. Options: lives=N, the last
 * of which ends well (5), each of at most n=N requests (40). */
#include "guests/lib/guest.h"
#include "guests/server/protocol.h"

#define DEFAULT_LIVES    5
#define DEFAULT_REQUESTS 40
#define PATIENCE_MS      5000

static const struct {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) no_idt;

static struct link link;
static struct channel requests, answers;

static void triple_fault(void)
{
    __asm__ volatile("lidt %0\n"
                     "ud2"
                     :
                     : "m"(no_idt));
}

static void page_fault(void)
{
    (void)*(volatile char *)(8 * GIB); /* start.asm maps 4 GiB */
}

static void outside_ram(void)
{
    (void)*(volatile char *)guest_ram_end();
}

static void unknown_calls(void)
{
    for (unsigned i = 0; i < 2 * ATOLL_BAD_CALLS_MAX; i++)
        atoll_call0(0xdead);
}

static void bad_status(void)
{
    guest_exit(3);
}

static const struct {
    const char *name;
    void (*act)(void);
} crashes[] = {
    {"a triple fault", triple_fault},      {"a page fault", page_fault},
    {"a read behind my RAM", outside_ram}, {"unknown calls", unknown_calls},
    {"a bad status", bad_status},
};

static int open_channels(void)
{
    size_t bytes = 0;
    int error = link_open(&link, 0);

    if (error)
        return error;
    unsigned server = link.self == 0 ? 1 : 0;
    void *memory = link_area(&link, AREA_REQUESTS, AREAS, &bytes);
    error = channel_open(&requests, &link, server, RING_SENDER, memory, bytes);
    if (error)
        return error;
    memory = link_area(&link, AREA_ANSWERS, AREAS, &bytes);
    return channel_open(&answers, &link, server, RING_RECEIVER, memory, bytes);
}

/* Asks and waits for the answer; what comes for an earlier life is dropped. */
static bool ask(uint64_t life, uint64_t sequence)
{
    struct request request = {life, sequence, life << 32 | sequence}, answer;
    uint64_t deadline = rdtsc() + PATIENCE_MS * (tsc_hz() / 1000);
    int result = channel_send(&requests, &request, sizeof(request));

    while (!result) {
        int length = channel_receive(&answers, &answer, sizeof(answer), deadline);
        if (length != sizeof(answer))
            result = length < 0 ? length : -EPROTO;
        else if (answer.life == life)
            break;
    }
    if (result) {
        printf("flaky: no answer to request %lu (%d)\n", sequence, result);
        return false;
    }
    if (answer.sequence == sequence && answer.value == answer_to(request.value))
        return true;
    printf("FAILURE: a wrong answer to request %lu\n", sequence);
    return false;
}

int main(void)
{
    uint64_t last = guest_option_number("lives", DEFAULT_LIVES);
    uint64_t count = MAX(guest_option_number("n", DEFAULT_REQUESTS), 1u);
    size_t bytes;

    if (open_channels()) {
        printf("flaky: there is no link to a server\n");
        return 2;
    }
    struct board *board = link_area(&link, AREA_BOARD, AREAS, &bytes);
    uint64_t life = atomic_fetch_add(&board->lives, 1) + 1;
    uint64_t chance = answer_to(rdtsc() ^ life << 32);
    if (life < last)
        count = 1 + chance % count;
    for (uint64_t i = 1; i <= count; i++) {
        if (!ask(life, i))
            return 1;
    }
    if (life >= last) {
        printf("flaky: life %lu ends well after %lu requests\n", life, count);
        atomic_store(&board->finished, true);
        return 0;
    }
    unsigned way = (chance >> 32) % ARRAY_SIZE(crashes);
    printf("flaky: life %lu ends after %lu requests by %s\n", life, count, crashes[way].name);
    crashes[way].act();
    printf("FAILURE: still alive\n");
    return 1;
}
