/* SPDX-License-Identifier: MIT */
/* A ring of messages in memory that two parties share, one of which sends and one receives. Neither
 * trusts the other: own positions are kept outside of the memory, foreign ones are checked at each
 * use, and a message is copied out before anybody looks at it. Pure. */
#ifndef GUESTS_LIB_RING_H
#define GUESTS_LIB_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The shared memory; zeroed, it is an empty ring. Positions count bytes and wrap at 2^32. A message
 * is its length in 4 bytes, its bytes, and padding to 4. */
struct ring_memory {
    _Atomic uint32_t head;     /* behind the last message; the sender writes it */
    uint32_t unused_head[15];  /* what the two write lies in different cache lines */
    _Atomic uint32_t tail;     /* of the first message not yet received; the receiver writes it */
    _Atomic uint32_t sleeping; /* the receiver wants to be woken */
    uint32_t unused_tail[14];
    uint8_t data[];
};

enum ring_end { RING_SENDER, RING_RECEIVER };

/* One party's view. */
struct ring {
    struct ring_memory *memory;
    uint32_t size;     /* of the data, a power of two */
    uint32_t position; /* head or tail, whichever is this party's */
};

/* Takes one end of the ring in `bytes` at `memory` (aligned to 4), where the last owner of that end
 * left it: a party that starts anew goes on there. Both parties give the same size. 0, or -EINVAL
 * when it is too small for any message. */
int ring_open(struct ring *ring, void *memory, size_t bytes, enum ring_end end);

/* Sends `length` bytes. 0; -EAGAIN when the ring is full, -EMSGSIZE for more than it can ever hold,
 * -EPROTO when the receiver's position is impossible. */
int ring_put(struct ring *ring, const void *message, size_t length);

/* Copies the next message to `buffer` and frees its place. Returns its length; -EAGAIN when there
 * is none, -EMSGSIZE when it is longer than `size` (it is dropped), -EPROTO when the sender's
 * position or the length is impossible: nothing more can be received before ring_skip. */
int ring_get(struct ring *ring, void *buffer, size_t size);

/* Drops all that has been sent. */
void ring_skip(struct ring *ring);

/* The receiver says whether it is about to sleep. It must look into the ring once more behind true;
 * a sender that has not been seen there sees the flag. */
void ring_sleeping_set(struct ring *ring, bool sleeping);

/* Behind ring_put: must the receiver be woken? */
bool ring_receiver_sleeps(const struct ring *ring);

#endif
