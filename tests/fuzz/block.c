/* SPDX-License-Identifier: MIT */
/* Any requests to a disk, against the array of the unit test, which is included: good ones read
 * what was written last, bad ones are refused by the rules of the calls and change nothing. */
#include "tests/fuzz/input.h"

static struct input choices;

#define rand() ((int)draw(&choices, 2))
#define main   unit_test
#include "tests/unit/test_block.c"
#undef main

static uint64_t draw_number(uint64_t border)
{
    uint8_t how = (uint8_t)draw(&choices, 1);

    if (how & 1)
        return border + (uint64_t)(int64_t)(int8_t)draw(&choices, 1);
    return how & 2 ? draw(&choices, 8) : border + (uint64_t)(int64_t)(int16_t)draw(&choices, 2);
}

/* A request of any numbers. */
static void request_any(struct block *block)
{
    bool write = draw(&choices, 1) & 1;
    uint64_t offset = draw_number(DISK_SIZE / 2), length = draw_number(DISK_SIZE - offset);
    uint64_t data = draw_number(GUEST_SIZE);
    bool within = offset < DISK_SIZE && length <= DISK_SIZE - offset && length <= ATOLL_BLOCK_MAX;
    bool is_ram = data <= GUEST_SIZE && length <= GUEST_SIZE - data;
    int wanted = !within ? -EINVAL : write && block->read_only ? -EROFS : is_ram ? 0 : -EFAULT;

    if (write && wanted == 0)
        require(guest_read(&memory, GPA(data), model + offset, length) == 0, "to read RAM");
    int result = write ? block_write(block, &memory, offset, GPA(data), length)
                       : block_read(block, &memory, offset, GPA(data), length);
    require(result == wanted || (length == 0 && within && !is_ram), "a request");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t copy[sizeof image];

    choices = (struct input){data, size};
    require(set_up(NULL) == 0, "no memory for the arena");
    uint8_t how = (uint8_t)draw(&choices, 1);
    struct block block = {.image = how & 1 ? image + 3 : NULL, .capacity = DISK_SIZE,
                          .block_size = 512, .read_only = how & 2};
    memcpy(copy, image, sizeof image);
    memset(model, 0, sizeof model);
    if (block.image)
        memcpy(model, block.image, sizeof model);
    start(&block);
    for (unsigned steps = 0; choices.left > 0 && steps < 64; steps++) {
        switch (draw(&choices, 1) % 4) {
        case 0: request_any(&block); break;
        case 1:
            if (!block.read_only)
                write_some(&block);
            break;
        default: read_some(&block); break;
        }
    }
    require(memcmp(copy, image, sizeof image) == 0, "the image was changed");
    stop(&block);
    require(tear_down(NULL) == 0, "frames are lost");
    return 0;
}
