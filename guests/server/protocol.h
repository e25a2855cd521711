/* SPDX-License-Identifier: MIT */
/* What `server` and its client `flaky` agree on: the areas of their link's pages, and a request. */
#ifndef GUESTS_SERVER_PROTOCOL_H
#define GUESTS_SERVER_PROTOCOL_H

#include <stdatomic.h>
#include <stdint.h>

enum area { AREA_BOARD, AREA_REQUESTS, AREA_ANSWERS, AREAS };

/* Written by the client only. It outlives the client's memory. */
struct board {
    _Atomic uint32_t lives;    /* so often it has started */
    _Atomic uint32_t finished; /* it has ended as it should */
};

/* A request, and its answer with another value. */
struct request {
    uint64_t life, sequence; /* of the client */
    uint64_t value;
};

/* The constants are those of splitmix64. */
static inline uint64_t answer_to(uint64_t value)
{
    uint64_t x = value + 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

#endif
