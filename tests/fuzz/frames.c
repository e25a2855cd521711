/* SPDX-License-Identifier: MIT */
/* Any sequence of calls of the page-frame allocator against a model with a word a frame: no frame
 * twice, aligned and zeroed, counted exactly, and a block comes exactly when one is free. A step is
 * three bytes: the call, the order, and a number. */
#define ARENA_SIZE (512 * PAGE_SIZE + 3 * PAGE_SIZE) /* the last blocks are odd */
#include "tests/fuzz/arena.h"

#include <linux/errno.h>

#define MODEL_FRAMES (ARENA_SIZE / PAGE_SIZE)
#include "tests/unit/frames_model.h"

#define HELD_MAX 256

static struct block {
    uint64_t head; /* its first frame, counted from the start of the arena */
    unsigned order;
} held[HELD_MAX];
static size_t held_count;
static uint64_t free_frames, reserved;

static hpa_t address_of(uint64_t head)
{
    return HPA(ARENA_START + head * PAGE_SIZE);
}

/* The allocator gave this block: it was free, and is all ours until we give it back. */
static void hold(hpa_t frame, unsigned order)
{
    struct block block = {(frame.value - ARENA_START) / PAGE_SIZE, order};

    require(frame.value % (PAGE_SIZE << order) == 0, "a block that is not aligned");
    require(block.head + BIT(order) <= MODEL_FRAMES, "a block outside memory");
    require(model_all(block.head, order, 0), "a frame handed out twice");
    require(held_count < HELD_MAX, "more than is asked for");
    memset((void *)frame.value, 0xa5, PAGE_SIZE << order);
    model_set(block.head, order, (uint32_t)block.head + 1);
    held[held_count++] = block;
    free_frames -= BIT(order);
}

static void take_block(unsigned order, bool from_reserved)
{
    uint64_t most = from_reserved ? reserved : free_frames - reserved;
    hpa_t frame;

    bool possible = order <= FRAME_MAX_ORDER && BIT(order) <= most && model_has_block(order);
    int result = from_reserved ? frame_alloc_reserved(order, &frame) : frame_alloc(order, &frame);
    require(result == (possible ? 0 : -ENOMEM), "a block against the model");
    if (!possible)
        return;
    require_zeroed((void *)frame.value, PAGE_SIZE << order);
    hold(frame, order);
    reserved -= from_reserved ? BIT(order) : 0;
}

static void take_single_frames(unsigned max_order)
{
    hpa_t first;
    uint64_t count = frames_take_reserved(max_order, &first);

    require(count <= reserved && count <= BIT(max_order) && (count > 0) == (reserved > 0),
            "another number of frames");
    for (uint64_t i = 0; i < count; i++)
        hold(HPA(first.value + i * PAGE_SIZE), 0);
    reserved -= count;
}

static void give_block(size_t i, bool to_reserved)
{
    struct block block = held[i];
    hpa_t frame = address_of(block.head);

    held[i] = held[--held_count];
    model_set(block.head, block.order, 0);
    free_frames += BIT(block.order);
    reserved += to_reserved ? BIT(block.order) : 0;
    require((to_reserved ? frame_free_reserved : frame_free)(frame, block.order) == 0,
            "what was handed out is not taken back");
    require(frame_free(frame, block.order) == -EINVAL, "taken back twice");
}

/* What was not handed out so is refused. */
static void give_wrong(uint64_t head, unsigned order)
{
    for (size_t i = 0; i < held_count; i++) {
        if (held[i].head == head && held[i].order == order)
            return;
    }
    require(frame_free(address_of(head), order) == -EINVAL, "taken back, but never handed out");
    require(frame_free(HPA(address_of(head).value + 1), order) == -EINVAL, "no whole frame");
}

static void reserve(uint64_t count)
{
    bool possible = count <= free_frames - reserved;

    require(frames_reserve(count) == (possible ? 0 : -ENOMEM), "a reservation");
    reserved += possible ? count : 0;
}

static void unreserve(uint64_t count)
{
    frames_unreserve(MIN(count, reserved));
    reserved -= MIN(count, reserved);
}

static void step(struct input *input)
{
    uint8_t call = (uint8_t)draw(input, 1);
    unsigned order = (unsigned)draw(input, 1) % 12;
    uint64_t number = draw(input, 1);

    switch (call % 8) {
    case 0:
    case 1: take_block(order < 11 ? order : order + (unsigned)number, call & 1); break;
    case 2: take_single_frames(order % 5); break;
    case 3:
    case 4:
        if (held_count > 0)
            give_block(number % held_count, call % 8 == 3);
        break;
    case 5: give_wrong(number * 2 + order, order); break;
    case 6: reserve(number * (1 + order)); break;
    case 7: unreserve(number); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    arena_start();
    memset(owner, 0, sizeof(owner));
    held_count = 0;
    free_frames = MODEL_FRAMES;
    reserved = 0;
    while (input.left > 0 && held_count + 16 <= HELD_MAX) {
        step(&input);
        require(frames_free_count() == free_frames && sum_of_blocks() == free_frames &&
                    frames_available_count() == free_frames - reserved,
                "counts");
    }
    while (held_count > 0)
        give_block(0, false);
    unreserve(reserved);
    arena_end();
    require(frames_free_blocks(9) == 1, "blocks that were not joined");
    return 0;
}
