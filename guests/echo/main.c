/* SPDX-License-Identifier: MIT */
/* Answers ARP, pings and UDP to port 7 on `ip=` (10.0.0.2) by its network device service0 and, if
 * it has a device service1, on 10.1.0.2 by that, until `n=` pings have come or `ms=` milliseconds
 * are over. It sleeps while nothing comes. */
#include "guests/lib/both.h"

#include "guests/echo/report.h"
#include "guests/lib/inet.h"

#define INTERFACES    2
#define DEFAULT_PINGS 100000

struct interface {
    struct net net;
    struct inet_host host;
    uint64_t pings;
};

static struct interface interfaces[INTERFACES];
static unsigned interface_count;

static void announce(const struct interface *interface)
{
    struct arp_packet packet;

    arp_ask(&interface->host, interface->host.address, &packet);
    net_send(&interface->net, &packet, sizeof(packet));
}

/* False: there is no such device. */
static bool open(unsigned number)
{
    struct interface *interface = &interfaces[number];
    char name[] = "service0";

    name[sizeof(name) - 2] = (char)('0' + number);
    if (net_open(&interface->net, name))
        return false;
    const char *address = number == 0 ? guest_option("ip") : NULL;
    if (!address || !inet_parse(address, &interface->host.address))
        interface->host.address = INET_ADDRESS(10, number, 0, 2);
    memcpy(interface->host.mac, interface->net.mac, ETH_ALEN);
    announce(interface);
    return true;
}

/* The answer's bytes; 0: it was no question for a report. */
static size_t report(const struct interface *interface, void *frame, size_t size)
{
    struct report_packet *packet = frame;
    struct net_counters counters = {0};

    if (size < sizeof(*packet) || packet->ethernet.h_proto != ETH_P_REPORT || packet->is_answer)
        return 0;
    packet->is_answer = true;
    packet->known = net_count(&interface->net, &counters);
    packet->counters = counters;
    memcpy(packet->ethernet.h_dest, packet->ethernet.h_source, ETH_ALEN);
    memcpy(packet->ethernet.h_source, interface->net.mac, ETH_ALEN);
    return sizeof(*packet);
}

/* Of an answer. */
static bool is_echo(const void *frame)
{
    const struct echo_packet *packet = frame;

    return packet->ethernet.h_proto == __builtin_bswap16(ETH_P_IP) &&
           packet->ip.protocol == IP_ICMP;
}

/* Answers a frame. False: there was none. */
static bool serve(struct interface *interface)
{
    static uint8_t frame[NET_FRAME_MAX];
    int received = net_receive(&interface->net, frame, sizeof(frame));

    if (received < 0)
        return false;
    size_t size = report(interface, frame, (size_t)received);
    if (size == 0) {
        size = inet_answer(&interface->host, frame, (size_t)received);
        interface->pings += size > 0 && is_echo(frame);
    }
    if (size > 0 && net_send(&interface->net, frame, size)) {
        printf("FAILURE: an answer of %lu bytes is none\n", size);
        guest_exit(1);
    }
    return true;
}

static bool serve_all(void)
{
    bool any = false;

    for (unsigned i = 0; i < interface_count; i++)
        any |= serve(&interfaces[i]);
    return any;
}

static uint64_t all_pings(void)
{
    return interfaces[0].pings + interfaces[1].pings;
}

static void print_result(const struct interface *interface)
{
    const uint8_t *ip = (const uint8_t *)&interface->host.address;
    struct net_counters counted;

    printf("%lu pings on %u.%u.%u.%u\n", interface->pings, ip[0], ip[1], ip[2], ip[3]);
    if (net_count(&interface->net, &counted))
        printf("frames: received %lu, dropped %lu; sent %lu, dropped %lu\n", counted.received,
               counted.received_dropped, counted.sent, counted.sent_dropped);
}

int main(void)
{
    uint64_t limit = guest_option_number("n", DEFAULT_PINGS), ms = guest_option_number("ms", 0);
    uint64_t end = ms ? rdtsc() + ms * (tsc_hz() / 1000) : 0;

    while (interface_count < INTERFACES && open(interface_count))
        interface_count++;
    if (interface_count == 0)
        return 2;
    while (all_pings() < limit && (!end || rdtsc() < end)) {
        if (!serve_all())
            net_wait(end);
    }
    for (unsigned i = 0; i < interface_count; i++)
        print_result(&interfaces[i]);
    printf("SUCCESS\n");
    return 0;
}
