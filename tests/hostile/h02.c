/* SPDX-License-Identifier: MIT */
/* H02: a reply across the end of RAM, and one across the edge to text, which calls may not write.
 * Expected: -EFAULT, and no byte is written before or behind the edge. */
#include "tests/hostile/hostile.h"

extern char text_start[]; /* guest.ld: the page before it is RAM */

CASE(h02)
{
    uint64_t end = guest_ram_end();
    struct atoll_vm_info text;

    for (uint64_t before = 8; before < sizeof(struct atoll_vm_info); before += 8) {
        volatile uint8_t *tail = (uint8_t *)(end - before);
        for (uint64_t i = 0; i < before; i++)
            tail[i] = 0xa5;
        int64_t result = atoll_vm_info((struct atoll_vm_info *)tail);
        expect(result == -EFAULT, "across the end of RAM: %ld", result);
        for (uint64_t i = 0; i < before; i++)
            expect(tail[i] == 0xa5, "byte %lu before the end was written", i);
    }
    memcpy(&text, text_start, sizeof(text));
    uint64_t edge = (uintptr_t)text_start;
    int64_t result = atoll_call2(ATOLL_CALL_VM_INFO, edge - 16, sizeof(text));
    expect(result == -EFAULT, "across the edge to text: %ld", result);
    result = atoll_call2(ATOLL_CALL_VM_INFO, edge, sizeof(text));
    expect(result == -EFAULT, "into text: %ld", result);
    expect(memcmp(&text, text_start, sizeof(text)) == 0, "text was written");
}
