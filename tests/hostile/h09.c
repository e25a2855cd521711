/* SPDX-License-Identifier: MIT */
/* H09: the largest request of each call, in a loop. Expected: each takes a bounded time, and the
 * others have their share. */
#include "tests/hostile/hostile.h"

#define LONGEST_US 40000 /* of one call, slices of others included */

static char text[ATOLL_CONSOLE_MAX];

CASE(h09)
{
    static struct atoll_link_info link;
    struct atoll_vm_info info;

    memset(text, 'y', sizeof(text));
    for (unsigned i = 0; i < 400; i++) {
        uint64_t start = now_ns();
        switch (i % 4) {
        case 0:
            if (i < 40) /* more would be dropped, and the last line with them */
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
        }
        uint64_t took = (now_ns() - start) / 1000;
        expect(took < LONGEST_US, "call %u took %lu us", i % 4, took);
    }
    printf("\n");
}
