/* SPDX-License-Identifier: MIT */
/* Finds `peer=` by ARP and sends it `n=` pings of `size=` bytes of data from `ip=`, as fast as it
 * can with `window=` of them under way (1); with `delay=` only after so many milliseconds. Replies
 * must hold what was sent. The status is 0 when the ports' counters explain each one that is lost:
 * there was no room for it in a queue, or nobody there. */
#include "guests/lib/both.h"

#include "guests/echo/report.h"
#include "guests/lib/inet.h"

#define WAIT_MS       20 /* for an answer, before the next try */
#define FIND_TRIES    50
#define REPORT_TRIES  3
#define DATA_MAX      8000
#define TIMESTAMP     16
#define WINDOW_MAX    256
#define PINGS         1024 /* the last ones, whose answers may still come */
#define US_PER_SECOND 1000000

/* One that was sent. Its sequence number is the low half of `number`. */
struct ping {
    uint64_t number, sent_at;
    bool open; /* no answer yet */
};

static struct net net;
static struct inet_host host, peer;
static union {
    uint8_t bytes[NET_FRAME_MAX];
    struct arp_packet arp;
    struct echo_packet echo;
    struct report_packet report;
} frame;

static uint8_t data[DATA_MAX];
static size_t data_size;
static struct ping pings[PINGS];
static uint64_t count, window;
static uint64_t sent, answered, wrong; /* wrong: answers that are not as they should be */
static uint64_t under_way, given_up;   /* nobody waits for those below number `given_up` */
static uint64_t trips, longest_trip;   /* ticks: of all together, of one */

static uint64_t in_ms(uint64_t ms)
{
    return rdtsc() + ms * (tsc_hz() / 1000);
}

/* ---- Questions that are asked until there is an answer --------------------------------------- */

/* Takes frames until `is_answer` likes one or the time is over. */
static bool wait_for(bool (*is_answer)(size_t size))
{
    uint64_t end = in_ms(WAIT_MS);

    while (rdtsc() < end) {
        int size = net_receive(&net, &frame, sizeof(frame));
        if (size < 0)
            net_wait(end);
        else if (is_answer((size_t)size))
            return true;
    }
    return false;
}

static bool is_arp_answer(size_t size)
{
    const struct arp_packet *arp = arp_reply_for(&host, &frame, size);

    if (!arp || arp->sender_address != peer.address)
        return false;
    memcpy(peer.mac, arp->sender_mac, ETH_ALEN);
    return true;
}

static bool find_peer(void)
{
    for (int i = 0; i < FIND_TRIES; i++) {
        arp_ask(&host, peer.address, &frame.arp);
        if (net_send(&net, &frame, sizeof(frame.arp)) == 0 && wait_for(is_arp_answer))
            return true;
    }
    return false;
}

/* ---- Pings ----------------------------------------------------------------------------------- */

static void fill_data(void)
{
    static const uint8_t pattern[] = {0xde, 0xad, 0xbe, 0xef};

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = i < TIMESTAMP ? (uint8_t)i : pattern[(i - TIMESTAMP) % sizeof(pattern)];
}

static void send_ping(void)
{
    struct ping *ping = &pings[sent % PINGS];

    memcpy(frame.echo.data, data, data_size);
    size_t size = echo_ask(&host, &peer, (uint16_t)sent, &frame.echo, data_size);
    *ping = (struct ping){.number = sent++, .sent_at = rdtsc(), .open = true};
    under_way++;
    if (net_send(&net, &frame, size)) {
        printf("FAILURE: a frame of %lu bytes was not taken\n", size);
        guest_exit(1);
    }
}

static void close_ping(struct ping *ping)
{
    uint64_t ticks = rdtsc() - ping->sent_at;

    ping->open = false;
    answered++;
    under_way -= ping->number >= given_up;
    trips += ticks;
    longest_trip = MAX(longest_trip, ticks);
}

/* An echo reply that is damaged is none. */
static void take_answer(size_t size)
{
    const struct echo_packet *echo = echo_reply_for(&host, &frame, size);

    if (!echo)
        return;
    uint16_t sequence = __builtin_bswap16(echo->sequence);
    struct ping *ping = &pings[sequence % PINGS];
    if (ping->open && (uint16_t)ping->number == sequence && echo_data_size(echo) == data_size &&
        memcmp(echo->data, data, data_size) == 0)
        close_ping(ping);
    else
        wrong++;
}

/* Takes answers until one has come and no more are there, or until `end`. False: none came. */
static bool take_answers(uint64_t end)
{
    uint64_t before = answered;

    for (;;) {
        int size = net_receive(&net, &frame, sizeof(frame));
        if (size >= 0)
            take_answer((size_t)size);
        else if (answered > before || rdtsc() >= end)
            return answered > before;
        else
            net_wait(end);
    }
}

static void run(void)
{
    while (sent < count || under_way > 0) {
        while (sent < count && under_way < window)
            send_ping();
        if (take_answers(in_ms(WAIT_MS)))
            continue;
        given_up = sent;
        under_way = 0;
    }
}

/* ---- Results --------------------------------------------------------------------------------- */

/* Answers to pings that are late come before it. */
static bool is_report(size_t size)
{
    if (size >= sizeof(frame.report) && frame.report.ethernet.h_proto == ETH_P_REPORT)
        return frame.report.is_answer;
    take_answer(size);
    return false;
}

/* What the port of the peer counted; zeroes if it does not say. */
static struct net_counters ask_for_report(void)
{
    for (int i = 0; i < REPORT_TRIES; i++) {
        frame.report = (struct report_packet){.ethernet.h_proto = ETH_P_REPORT};
        memcpy(frame.report.ethernet.h_dest, peer.mac, ETH_ALEN);
        memcpy(frame.report.ethernet.h_source, host.mac, ETH_ALEN);
        if (net_send(&net, &frame, sizeof(frame.report)) == 0 && wait_for(is_report))
            return frame.report.counters;
    }
    return (struct net_counters){0};
}

static struct net_counters own_count(void)
{
    struct net_counters counters = {0};

    net_count(&net, &counters);
    return counters;
}

static uint64_t dropped_since(const struct net_counters *before, const struct net_counters *after,
                              const char *whose)
{
    uint64_t out = after->sent_dropped - before->sent_dropped;
    uint64_t in = after->received_dropped - before->received_dropped;

    printf("%s port: %lu sent to nobody, %lu dropped before they were received\n", whose, out, in);
    return out + in;
}

static void print_trips(void)
{
    uint64_t mean = trips / MAX(answered, 1u);

    printf("round trip: mean %lu, at most %lu ticks (%lu, %lu us)\n", mean, longest_trip,
           mean * US_PER_SECOND / tsc_hz(), longest_trip * US_PER_SECOND / tsc_hz());
}

/* How many of the pings without an answer the two ports know of. */
static uint64_t explain(const struct net_counters *own, const struct net_counters *other)
{
    const struct net_counters other_now = ask_for_report(), own_now = own_count();
    uint64_t lost = sent - answered, explained = dropped_since(own, &own_now, "own");

    explained += dropped_since(other, &other_now, "peer's");
    printf("%lu lost, %lu explained\n", lost, MIN(lost, explained));
    return explained;
}

static bool read_options(void)
{
    const char *from = guest_option("ip"), *to = guest_option("peer");

    count = guest_option_number("n", 10);
    window = guest_option_number("window", 1);
    data_size = guest_option_number("size", 56);
    return from && inet_parse(from, &host.address) && to && inet_parse(to, &peer.address) &&
           data_size <= DATA_MAX && window > 0 && window <= WINDOW_MAX;
}

int main(void)
{
    if (!read_options() || net_open(&net, "net"))
        return 2;
    memcpy(host.mac, net.mac, ETH_ALEN);
    fill_data();
    sleep_ms(guest_option_number("delay", 0));
    if (!find_peer()) {
        printf("FAILURE: nobody has the address %s\n", guest_option("peer"));
        return 1;
    }
    const struct net_counters own = own_count(), other = ask_for_report();
    run();
    uint64_t explained = answered < sent ? explain(&own, &other) : 0;
    printf("%lu of %lu pings answered\n", answered, sent);
    print_trips();
    if (wrong > 0)
        printf("FAILURE: %lu answers are not what was asked for\n", wrong);
    return sent - answered > explained || wrong > 0;
}
