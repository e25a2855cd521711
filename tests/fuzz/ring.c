/* SPDX-License-Identifier: MIT */
/* Any messages through a guests' ring, and any bytes that a hostile other end writes there: while
 * it is honest, what goes in comes out in order; afterwards there is an error or a message, never a
 * byte outside the ring. A step is what is done, and its numbers. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "guests/lib/ring.h"

#define DATA     256u
#define BYTES    (sizeof(struct ring_memory) + DATA)
#define SENT_MAX 1024

static struct ring sender, receiver;
static struct ring_memory *memory;
static struct {
    uint32_t length;
    uint8_t seed;
} sent[SENT_MAX];
static size_t sent_count, got_count, used; /* bytes in the ring */
static bool honest;

static uint32_t place_of(uint32_t length)
{
    return 4 + (length + 3) / 4 * 4;
}

static void put(uint32_t length, uint8_t seed)
{
    uint8_t *bytes = malloc(length + 1);
    bool fits = used + place_of(length) <= DATA;

    require(bytes, "memory");
    memset(bytes, seed, length);
    int result = ring_put(&sender, bytes, length);
    free(bytes);
    int wanted = length > DATA - 4 ? -EMSGSIZE : fits ? 0 : -EAGAIN;
    require(honest ? result == wanted
                   : result == 0 || result == -EMSGSIZE || result == -EAGAIN || result == -EPROTO,
            "a put");
    if (result || !honest)
        return;
    used += place_of(length);
    sent[sent_count].length = length;
    sent[sent_count++].seed = seed;
}

static void get(uint32_t size)
{
    uint8_t *bytes = malloc(size + 1);

    require(bytes, "memory");
    int result = ring_get(&receiver, bytes, size);
    require(result <= (int)size, "a message longer than the buffer");
    if (result >= 0 || result == -EMSGSIZE)
        require(atomic_load(&memory->head) - receiver.position <= DATA, "beyond what was sent");
    if (!honest) {
        require(result >= 0 || result == -EMSGSIZE || result == -EAGAIN || result == -EPROTO,
                "a get");
    } else if (got_count == sent_count) {
        require(result == -EAGAIN, "a message that nobody sent");
    } else {
        uint32_t length = sent[got_count].length;
        require(result == (length > size ? -EMSGSIZE : (int)length), "another message");
        for (int i = 0; i < result; i++)
            require(bytes[i] == sent[got_count].seed, "another byte");
        used -= place_of(length);
        got_count++;
    }
    free(bytes);
}

/* The other end writes where it likes: a position, the length of the next message, or any word. */
static void scribble(struct input *input)
{
    uint8_t what = (uint8_t)draw(input, 1);
    uint32_t word = (uint32_t)draw(input, 2);

    honest = false;
    if (what % 4 == 0)
        atomic_fetch_add(what & 4 ? &memory->head : &memory->tail, word);
    else if (what % 4 == 1)
        memcpy(memory->data + receiver.position % DATA, &(uint32_t){word % 512}, 4);
    else
        memcpy((uint8_t *)memory + 4 * (word % (BYTES / 4)), &(uint32_t){0x01010101u * what}, 4);
}

static void skip(void)
{
    ring_skip(&receiver);
    got_count = sent_count;
    used = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    memory = calloc(1, BYTES); /* of its size: a byte too far is seen */
    require(memory, "memory");
    uint32_t position = (uint32_t)draw(&input, 4) & ~3u; /* near the wrap, say */
    atomic_store(&memory->head, position);
    atomic_store(&memory->tail, position);
    require(ring_open(&sender, memory, BYTES, RING_SENDER) == 0, "to open");
    require(ring_open(&receiver, memory, BYTES, RING_RECEIVER) == 0, "to open");
    sent_count = got_count = used = 0;
    honest = true;
    while (input.left > 0 && sent_count < SENT_MAX) {
        uint8_t what = (uint8_t)draw(&input, 1);
        switch (what % 8) {
        case 0:
        case 1:
        case 2: put((uint32_t)draw(&input, 1) % 280, what); break;
        case 3:
        case 4:
        case 5: get((uint32_t)draw(&input, 1)); break;
        case 6: skip(); break;
        case 7:
            if (what >= 0xf0)
                scribble(&input);
            break;
        }
    }
    free(memory);
    return 0;
}
