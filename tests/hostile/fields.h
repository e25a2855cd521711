/* SPDX-License-Identifier: MIT */
/* A bit that flips in the VMCS of the guest itself: what the next entry must refuse. */
#ifndef TESTS_HOSTILE_FIELDS_H
#define TESTS_HOSTILE_FIELDS_H

#include "tests/hostile/hostile.h"

struct flip {
    uint16_t field; /* SDM Appendix B */
    uint8_t bit;
};

/* The way n= of the case. */
static inline void flip_one(const struct flip *flips, size_t count)
{
    const struct flip *flip = &flips[variant()];

    expect(variant() < count, "there are only %zu ways", count);
    farewell();
    if (variant() < count)
        atoll_call3(ATOLL_CALL_PROBE, ATOLL_PROBE_FAULT, ATOLL_FAULT_VMCS,
                    flip->field | (uint64_t)flip->bit << 16);
}

#endif
