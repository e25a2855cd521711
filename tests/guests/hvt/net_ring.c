/* SPDX-License-Identifier: MIT */
/* Answers pings on 10.0.0.2 whose data, behind the 16 bytes of time that ping puts there, is a
 * pattern: not a byte may change on its way. */
#include "guests/hvt/lib/guest.h"

#include "guests/lib/inet.h"

#define NS_PER_SECOND  1000000000ull
#define TIMESTAMP_SIZE 16

HVT_DEVICES(HVT_NET("service0"));

static const uint8_t pattern[] = {0xde, 0xad, 0xbe, 0xef};

static bool is_intact(const struct echo_packet *packet)
{
    for (size_t i = TIMESTAMP_SIZE; i < echo_data_size(packet); i++) {
        if (packet->data[i] != pattern[(i - TIMESTAMP_SIZE) % sizeof(pattern)])
            return false;
    }
    return true;
}

int main(void)
{
    static uint8_t frame[ETH_HLEN + 9000];
    struct inet_host host = {.address = INET_ADDRESS(10, 0, 0, 2)};
    uint64_t limit = guest_option_number("n", 10000), verified = 0;

    memcpy(host.mac, device_info(1)->net.mac, ETH_ALEN);
    while (verified < limit) {
        size_t size = sizeof(frame);
        if (hvt_poll(NS_PER_SECOND) == 0 || hvt_net_read(1, frame, &size) != HVT_OK)
            continue;
        const struct echo_packet *packet = echo_request_for(&host, frame, size);
        if (packet && !is_intact(packet))
            return 1;
        verified += packet != NULL;
        size = inet_answer(&host, frame, size);
        if (size > 0 && hvt_net_write(1, frame, size) != HVT_OK)
            return 2;
    }
    printf("verified %lu packets\n", verified);
    printf("SUCCESS\n");
    return 0;
}
