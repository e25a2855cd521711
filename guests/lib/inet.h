/* SPDX-License-Identifier: MIT */
/* As much of the Internet as a ping takes: Ethernet frames with ARP (RFC 826), ICMP echo (RFC 792)
 * and UDP (RFC 768) over IPv4 without options or fragments. Whatever comes from the wire was
 * written by somebody else: it is checked before it is used. Numbers in packets are big-endian.
 * Pure. */
#ifndef GUESTS_LIB_INET_H
#define GUESTS_LIB_INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

/* An IPv4 address as it stands in a packet. */
#define INET_ADDRESS(a, b, c, d)                                                                   \
    ((uint32_t)(d) << 24 | (uint32_t)(c) << 16 | (uint32_t)(b) << 8 | (uint32_t)(a))

struct inet_host {
    uint8_t mac[ETH_ALEN];
    uint32_t address;
};

struct arp_packet {
    struct ethhdr ethernet;
    uint16_t hardware, protocol;
    uint8_t hardware_size, protocol_size;
    uint16_t operation;
    uint8_t sender_mac[ETH_ALEN];
    uint32_t sender_address;
    uint8_t target_mac[ETH_ALEN];
    uint32_t target_address;
} __attribute__((packed));

struct echo_packet {
    struct ethhdr ethernet;
    struct iphdr ip;
    uint8_t type, code;
    uint16_t checksum, id, sequence;
    uint8_t data[];
} __attribute__((packed));

struct udp_packet {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct udphdr udp;
    uint8_t data[];
} __attribute__((packed));

#define IP_ICMP       1 /* as a protocol */
#define UDP_PORT_ECHO 7 /* RFC 862 */

/* "10.0.0.2"; false: it is none. */
bool inet_parse(const char *text, uint32_t *address);

/* What a frame is, if it is whole, right in its sums, and for this host: NULL if not. */
struct arp_packet *arp_request_for(const struct inet_host *host, void *frame, size_t size);
struct arp_packet *arp_reply_for(const struct inet_host *host, void *frame, size_t size);
struct echo_packet *echo_request_for(const struct inet_host *host, void *frame, size_t size);
struct echo_packet *echo_reply_for(const struct inet_host *host, void *frame, size_t size);
struct udp_packet *udp_for(const struct inet_host *host, void *frame, size_t size);

/* Bytes behind the header. */
size_t echo_data_size(const struct echo_packet *packet);

/* Answers an ARP or echo request, or UDP to port 7, for this host in its own place: returns the
 * answer's bytes, or 0 when there is none. */
size_t inet_answer(const struct inet_host *host, void *frame, size_t size);

/* Writes an ARP request for an address; its bytes are sizeof(struct arp_packet). For the host's own
 * address it announces the host. */
void arp_ask(const struct inet_host *host, uint32_t address, struct arp_packet *packet);

/* Writes an echo request whose `data_size` bytes of data stand there already; returns its bytes. */
size_t echo_ask(const struct inet_host *host, const struct inet_host *peer, uint16_t sequence,
                struct echo_packet *packet, size_t data_size);

#endif
