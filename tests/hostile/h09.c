/* SPDX-License-Identifier: MIT */
/* H09: the largest request of each call, in a loop. Expected: each takes a bounded time, and the
 * others have their share. */
#include "tests/hostile/hostile.h"

#define LONGEST_US 40000 /* of one call, slices of others included */
#define CALLS      10
#define DISK       0 /* the row's devices */
#define NET        1
#define FRAME_MAX  (ATOLL_NET_HEADER + 9000)

static char text[ATOLL_CONSOLE_MAX];
static uint8_t buffer[ATOLL_BLOCK_MAX];

CASE(h09)
{
    static struct atoll_link_info link;
    struct atoll_vm_info info = {0};
    struct atoll_vm_state state;
    struct atoll_device_info device;

    memset(text, 'y', sizeof(text));
    expect(atoll_device_info(NET, &device, sizeof(device)) == sizeof(device), "no network");
    memcpy(buffer + ETH_ALEN, device.mac, ETH_ALEN); /* the frame's source */
    for (unsigned i = 0; i < 100 * CALLS; i++) {
        uint64_t start = now_ns();
        switch (i % CALLS) {
        case 0:
            if (i < 10 * CALLS) /* more would be dropped, and the last line with them */
                expect(atoll_console_write(text, sizeof(text)) == sizeof(text), "a write");
            break;
        case 1:
            expect(atoll_vm_info(&info) == sizeof(info), "VM info");
            break;
        case 2:
            expect(atoll_link_info(0, &link, sizeof(link)) == sizeof(link), "link info");
            break;
        case 3:
            atoll_link_ring(0, ATOLL_LINK_ALL);
            break;
        case 4:
            expect(atoll_block_write(DISK, 0, buffer, sizeof(buffer)) == 0, "a write to disk");
            break;
        case 5:
            expect(atoll_block_read(DISK, 0, buffer, sizeof(buffer)) == 0, "a read from disk");
            break;
        case 6:
            expect(atoll_net_write(NET, buffer, FRAME_MAX) == 0, "a frame");
            break;
        case 7:
            expect(atoll_net_read(NET, buffer, sizeof(buffer)) == -EAGAIN, "its own frame");
            break;
        case 8:
            expect(atoll_device_info(DISK, &device, sizeof(device)) == sizeof(device), "a disk");
            break;
        case 9:
            expect(atoll_vm_state(info.vm, &state) == sizeof(state), "VM state");
            break;
        }
        uint64_t took = (now_ns() - start) / 1000;
        expect(took < LONGEST_US, "call %u took %lu us", i % CALLS, took);
    }
    printf("\n");
}
