/* SPDX-License-Identifier: MIT */
/* Frames: what they are, answers, requests. */
#include "guests/lib/inet.h"

#include <string.h>

#include "kernel/lib/types.h"
#include "kernel/lib/unaligned.h"

#define BIG16(n) __builtin_bswap16(n)

#define ARP_ETHERNET 1
#define ARP_REQUEST  1
#define ARP_REPLY    2

#define IP_VERSION     4
#define IP_HEADER_SIZE sizeof(struct iphdr)
#define IP_FRAGMENT    0x3fff /* "more fragments" and the offset */
#define IP_TTL         64
#define IP_UDP         17

struct ip_packet {
    struct ethhdr ethernet;
    struct iphdr ip;
} __attribute__((packed));

#define ECHO_REPLY   0
#define ECHO_REQUEST 8
#define ECHO_HEADER  (offsetof(struct echo_packet, data) - offsetof(struct echo_packet, type))

static const uint8_t broadcast[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

bool inet_parse(const char *text, uint32_t *address)
{
    *address = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t byte = 0;
        if (*text < '0' || *text > '9')
            return false;
        while (*text >= '0' && *text <= '9' && byte <= UINT8_MAX)
            byte = byte * 10 + (uint32_t)(*text++ - '0');
        if (byte > UINT8_MAX || *text++ != (i < 3 ? '.' : '\0'))
            return false;
        *address |= byte << 8 * i;
    }
    return true;
}

/* The Internet checksum (RFC 1071), as it stands in a packet; over a right one it is 0. */
static uint16_t checksum(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t words = ALIGN_DOWN(size, sizeof(uint32_t));
    uint64_t sum = 0; /* of words of 32 bits: 2^16 counts as 1 */

    for (size_t i = 0; i < words; i += sizeof(uint32_t))
        sum += load_u32(bytes + i);
    for (size_t i = words; i < size; i++)
        sum += (uint64_t)bytes[i] << (i % 2 ? 8 : 0);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* ---- What a frame is ------------------------------------------------------------------------- */

static bool is_for(const struct inet_host *host, const struct ethhdr *ethernet, uint16_t type)
{
    return ethernet->h_proto == BIG16(type) &&
           (memcmp(ethernet->h_dest, host->mac, ETH_ALEN) == 0 ||
            memcmp(ethernet->h_dest, broadcast, ETH_ALEN) == 0);
}

static struct arp_packet *arp_for(const struct inet_host *host, void *frame, size_t size,
                                  uint16_t operation)
{
    struct arp_packet *packet = frame;

    if (size < sizeof(*packet) || !is_for(host, &packet->ethernet, ETH_P_ARP))
        return NULL;
    bool good = packet->hardware == BIG16(ARP_ETHERNET) && packet->protocol == BIG16(ETH_P_IP) &&
                packet->hardware_size == ETH_ALEN &&
                packet->protocol_size == sizeof(packet->target_address) &&
                packet->operation == BIG16(operation) && packet->target_address == host->address;
    return good ? packet : NULL;
}

struct arp_packet *arp_request_for(const struct inet_host *host, void *frame, size_t size)
{
    return arp_for(host, frame, size, ARP_REQUEST);
}

struct arp_packet *arp_reply_for(const struct inet_host *host, void *frame, size_t size)
{
    return arp_for(host, frame, size, ARP_REPLY);
}

/* Is it a packet of that protocol with at least `least` bytes behind its header? */
static bool is_ip_for(const struct inet_host *host, const void *frame, size_t size,
                      uint8_t protocol, size_t least)
{
    const struct ip_packet *packet = frame;
    const struct iphdr ip = size < sizeof(*packet) ? (struct iphdr){0} : packet->ip;
    size_t total = BIG16(ip.tot_len);

    return size >= sizeof(*packet) && is_for(host, &packet->ethernet, ETH_P_IP) &&
           ip.version == IP_VERSION && ip.ihl == IP_HEADER_SIZE / 4 && ip.protocol == protocol &&
           ip.daddr == host->address && !(BIG16(ip.frag_off) & IP_FRAGMENT) &&
           checksum(&packet->ip, IP_HEADER_SIZE) == 0 && total >= IP_HEADER_SIZE + least &&
           total <= size - ETH_HLEN;
}

static struct echo_packet *echo_for(const struct inet_host *host, void *frame, size_t size,
                                    uint8_t type)
{
    struct echo_packet *packet = frame;

    if (!is_ip_for(host, frame, size, IP_ICMP, ECHO_HEADER) || packet->type != type ||
        packet->code != 0 || checksum(&packet->type, ECHO_HEADER + echo_data_size(packet)) != 0)
        return NULL;
    return packet;
}

struct echo_packet *echo_request_for(const struct inet_host *host, void *frame, size_t size)
{
    return echo_for(host, frame, size, ECHO_REQUEST);
}

struct echo_packet *echo_reply_for(const struct inet_host *host, void *frame, size_t size)
{
    return echo_for(host, frame, size, ECHO_REPLY);
}

size_t echo_data_size(const struct echo_packet *packet)
{
    return BIG16(packet->ip.tot_len) - IP_HEADER_SIZE - ECHO_HEADER;
}

struct udp_packet *udp_for(const struct inet_host *host, void *frame, size_t size)
{
    struct udp_packet *packet = frame;

    if (!is_ip_for(host, frame, size, IP_UDP, sizeof(packet->udp)) ||
        BIG16(packet->udp.len) != BIG16(packet->ip.tot_len) - IP_HEADER_SIZE)
        return NULL;
    return packet;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void send_back(const struct inet_host *host, struct ethhdr *ethernet)
{
    memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
    memcpy(ethernet->h_source, host->mac, ETH_ALEN);
}

static size_t ip_send_back(const struct inet_host *host, void *frame)
{
    struct ip_packet *packet = frame;

    send_back(host, &packet->ethernet);
    packet->ip.daddr = packet->ip.saddr;
    packet->ip.saddr = host->address;
    packet->ip.ttl = IP_TTL;
    packet->ip.check = 0;
    packet->ip.check = checksum(&packet->ip, IP_HEADER_SIZE);
    return ETH_HLEN + BIG16(packet->ip.tot_len);
}

static size_t answer_arp(const struct inet_host *host, struct arp_packet *packet)
{
    send_back(host, &packet->ethernet);
    packet->operation = BIG16(ARP_REPLY);
    memcpy(packet->target_mac, packet->sender_mac, ETH_ALEN);
    packet->target_address = packet->sender_address;
    memcpy(packet->sender_mac, host->mac, ETH_ALEN);
    packet->sender_address = host->address;
    return sizeof(*packet);
}

static size_t answer_echo(const struct inet_host *host, struct echo_packet *packet)
{
    packet->type = ECHO_REPLY;
    packet->checksum = 0;
    packet->checksum = checksum(&packet->type, ECHO_HEADER + echo_data_size(packet));
    return ip_send_back(host, packet);
}

static size_t answer_udp(const struct inet_host *host, struct udp_packet *packet)
{
    packet->udp.dest = packet->udp.source;
    packet->udp.source = BIG16(UDP_PORT_ECHO);
    packet->udp.check = 0; /* none, which IPv4 allows */
    return ip_send_back(host, packet);
}

size_t inet_answer(const struct inet_host *host, void *frame, size_t size)
{
    struct arp_packet *arp = arp_request_for(host, frame, size);
    if (arp)
        return answer_arp(host, arp);
    struct echo_packet *echo = echo_request_for(host, frame, size);
    if (echo)
        return answer_echo(host, echo);
    struct udp_packet *udp = udp_for(host, frame, size);
    if (udp && udp->udp.dest == BIG16(UDP_PORT_ECHO))
        return answer_udp(host, udp);
    return 0;
}

/* ---- Requests -------------------------------------------------------------------------------- */

void arp_ask(const struct inet_host *host, uint32_t address, struct arp_packet *packet)
{
    *packet = (struct arp_packet){
        .ethernet.h_proto = BIG16(ETH_P_ARP),
        .hardware = BIG16(ARP_ETHERNET),
        .protocol = BIG16(ETH_P_IP),
        .hardware_size = ETH_ALEN,
        .protocol_size = sizeof(packet->target_address),
        .operation = BIG16(ARP_REQUEST),
        .sender_address = host->address,
        .target_address = address,
    };
    memcpy(packet->ethernet.h_dest, broadcast, ETH_ALEN);
    memcpy(packet->ethernet.h_source, host->mac, ETH_ALEN);
    memcpy(packet->sender_mac, host->mac, ETH_ALEN);
}

size_t echo_ask(const struct inet_host *host, const struct inet_host *peer, uint16_t sequence,
                struct echo_packet *packet, size_t data_size)
{
    size_t size = ECHO_HEADER + data_size;

    packet->ethernet.h_proto = BIG16(ETH_P_IP);
    memcpy(packet->ethernet.h_dest, peer->mac, ETH_ALEN);
    memcpy(packet->ethernet.h_source, host->mac, ETH_ALEN);
    packet->ip = (struct iphdr){
        .version = IP_VERSION,
        .ihl = IP_HEADER_SIZE / 4,
        .tot_len = BIG16((uint16_t)(IP_HEADER_SIZE + size)),
        .ttl = IP_TTL,
        .protocol = IP_ICMP,
        .saddr = host->address,
        .daddr = peer->address,
    };
    packet->ip.check = checksum(&packet->ip, IP_HEADER_SIZE);
    packet->type = ECHO_REQUEST;
    packet->code = 0;
    packet->checksum = 0;
    packet->id = (uint16_t)host->address;
    packet->sequence = BIG16(sequence);
    packet->checksum = checksum(&packet->type, size);
    return ETH_HLEN + IP_HEADER_SIZE + size;
}
