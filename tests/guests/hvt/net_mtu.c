/* SPDX-License-Identifier: MIT */
/* A network device's MTU and MAC address, as the hypervisor says them. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES(HVT_NET("service0"));

int main(void)
{
    const struct hvt_manifest_entry *info = device_info(1);
    const uint8_t *mac = info->net.mac;

    printf("MAC %02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    printf("MTU is %u\n", info->net.mtu);
    printf("SUCCESS\n");
    return 0;
}
