/* SPDX-License-Identifier: MIT */
/* G09: two guests of one link ring each other as fast as they can, for 200 ms. Expected: rings
 * that were not seen count as one, and the witness has its share. */
#include "tests/hostile/hostile.h"

#define BELL 0x49

static volatile unsigned bells;

static void on_bell(unsigned vector)
{
    (void)vector;
    bells++;
}

CASE(g09)
{
    uint64_t end = now_ns() + 200000000, rings = 0;

    interrupt_handler_set(BELL, on_bell);
    expect(atoll_link_vector(0, BELL) == 0, "no vector");
    while (now_ns() < end) {
        int64_t error = atoll_link_ring(0, ATOLL_LINK_ALL);
        expect(error == 0 || error == -EPIPE, "a ring answers %ld", error);
        rings++;
        if (rings % 16 == 0)
            look((uint64_t)atoll_link_poll(0));
    }
    expect(rings > 100, "only %lu rings", rings);
    expect(bells <= 20 * rings + 100, "%u interrupts of %lu rings", bells, rings);
}
