/* SPDX-License-Identifier: MIT */
/* Any I/O instruction of an hvt guest with any structure: nothing outside RAM is touched, only
 * results and what is read change, a call ends or stops the guest, and it does not matter whether
 * the structure is used where it lies. An input is flags, the port, EAX, and the structure. */
#include "tests/fuzz/require.h"

#include "tests/unit/hvt_model.h"

enum flags { REACHABLE = 1, DEVICES = 2, FRAME = 4, READ_ONLY_DISK = 8, OTHER_WIDTH = 16 };

struct input {
    uint8_t flags, kind;
    uint16_t port;
    uint32_t eax;
    uint8_t structure[40];
} __attribute__((packed));

/* What may change in memory. */
struct range {
    uint64_t start, size;
};

static void fill_ram(void)
{
    static uint8_t bytes[MODEL_RAM];

    for (size_t i = 0; bytes[MODEL_RAM - 1] == 0 && i < MODEL_RAM; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    memcpy(model.ram, bytes, sizeof(bytes));
}

static void prepare(const struct input *input, bool reachable)
{
    model_start(MODEL_RAM, input->flags & DEVICES);
    fill_ram();
    model.reachable = reachable;
    model.frames = input->flags & FRAME ? 1 : 0;
    model.devices[0].block.read_only = input->flags & READ_ONLY_DISK;
    for (size_t i = 0; i < sizeof(input->structure); i++) {
        if ((uint64_t)input->eax + i < MODEL_RAM)
            model.ram[input->eax + i] = input->structure[i];
    }
}

static bool is_call(const struct input *input)
{
    uint64_t kind = input->flags & OTHER_WIDTH ? input->kind : MODEL_OUT32;

    return (kind & 0x1f) == MODEL_OUT32 && input->port > HVT_PORT &&
           input->port <= HVT_PORT + HVT_CALL_HALT;
}

static enum exit_action run(const struct input *input)
{
    uint64_t kind = input->flags & OTHER_WIDTH ? input->kind & 0x3f : MODEL_OUT32;
    enum exit_action action;
    unsigned turns = 0;

    do {
        action = model_io(input->port, kind, input->eax);
        require(++turns <= MODEL_PAGES + 1, "a call without an end");
    } while (action == ACTION_RETRY);
    require((action == ACTION_STOP) == (model.stops == 1) && model.stops <= 1, "stops");
    require(model.waits == (action == ACTION_SLEEP), "sleeps");
    return action;
}

static uint64_t word_of(const struct input *input, size_t offset)
{
    uint64_t word;

    memcpy(&word, input->structure + offset, sizeof(word));
    return word;
}

#define WORD(input, structure, member) word_of(input, offsetof(struct structure, member))

/* Where the call writes; returns how many ranges. */
static unsigned ranges_of(const struct input *input, struct range ranges[3])
{
    const uint64_t at = input->eax;

    switch (input->port - HVT_PORT) {
    case HVT_CALL_WALLTIME:
        ranges[0] = (struct range){at, sizeof(struct hvt_walltime)};
        return 1;
    case HVT_CALL_POLL:
        ranges[0] = (struct range){at + offsetof(struct hvt_poll, ready), 12};
        return 1;
    case HVT_CALL_BLOCK_WRITE:
    case HVT_CALL_BLOCK_READ:
        ranges[0] = (struct range){at + offsetof(struct hvt_block, result), 4};
        ranges[1] = (struct range){WORD(input, hvt_block, data), WORD(input, hvt_block, length)};
        return input->port - HVT_PORT == HVT_CALL_BLOCK_READ ? 2 : 1;
    case HVT_CALL_NET_WRITE:
    case HVT_CALL_NET_READ:
        ranges[0] = (struct range){at + offsetof(struct hvt_net, result), 4};
        ranges[1] = (struct range){at + offsetof(struct hvt_net, length), 8};
        ranges[2] = (struct range){WORD(input, hvt_net, data), WORD(input, hvt_net, length)};
        return input->port - HVT_PORT == HVT_CALL_NET_READ ? 3 : 1;
    default:
        return 0;
    }
}

static void check_memory(const struct input *input, const uint8_t *before, bool stopped)
{
    struct range ranges[3];
    unsigned count = stopped ? 0 : ranges_of(input, ranges);

    for (uint64_t i = 0; i < MODEL_RAM; i++) {
        bool may = false;
        if (i % PAGE_SIZE == 0 && memcmp(model.ram + i, before + i, PAGE_SIZE) == 0)
            i += PAGE_SIZE - 1;
        else if (model.ram[i] != before[i]) {
            for (unsigned r = 0; r < count; r++)
                may = may || i - ranges[r].start < ranges[r].size;
            require(may, "a byte that the call must not change");
            require(model_writable(i, 1), "a byte of a read-only page");
        }
    }
}

/* Is the buffer that the structure names RAM, or does something before it end the call? */
static bool is_buffer_ram(const struct input *input)
{
    switch (input->port - HVT_PORT) {
    case HVT_CALL_PUTS:
        return model_is_ram(WORD(input, hvt_puts, data), WORD(input, hvt_puts, length));
    case HVT_CALL_BLOCK_WRITE:
    case HVT_CALL_BLOCK_READ:
        return (input->port == HVT_PORT + HVT_CALL_BLOCK_WRITE &&
                input->flags & READ_ONLY_DISK) ||
               WORD(input, hvt_block, handle) != DISK_HANDLE ||
               WORD(input, hvt_block, offset) >= MODEL_DISK ||
               WORD(input, hvt_block, length) > MODEL_DISK - WORD(input, hvt_block, offset) ||
               model_is_ram(WORD(input, hvt_block, data), WORD(input, hvt_block, length));
    case HVT_CALL_NET_WRITE:
    case HVT_CALL_NET_READ:
        return WORD(input, hvt_net, handle) != NET_HANDLE ||
               model_is_ram(WORD(input, hvt_net, data), WORD(input, hvt_net, length));
    default:
        return true;
    }
}

static void check_result(const struct input *input)
{
    unsigned number = input->port - HVT_PORT;
    size_t offset = number == HVT_CALL_BLOCK_WRITE || number == HVT_CALL_BLOCK_READ
                        ? offsetof(struct hvt_block, result)
                        : offsetof(struct hvt_net, result);
    int32_t result;

    if (number < HVT_CALL_BLOCK_WRITE || number > HVT_CALL_NET_READ)
        return;
    memcpy(&result, model.ram + input->eax + offset, sizeof(result));
    require(result >= HVT_OK && result <= HVT_UNSPECIFIED, "no result");
}

static void check_end(const struct input *input, enum exit_action action)
{
    static const uint8_t sizes[] = {0, 8, 16, 24, 40, 40, 32, 32, 16};

    if (!is_call(input)) {
        require(model.reason == STOP_BAD_IO_PORT, "no call, though it is carried out");
        return;
    }
    if (!model_is_ram(input->eax, sizes[input->port - HVT_PORT]))
        require(model.reason == STOP_BAD_HYPERCALL, "a structure outside RAM");
    else if (!is_buffer_ram(input))
        require(model.reason == STOP_BAD_HYPERCALL, "a buffer outside RAM");
    if (input->port == HVT_PORT + HVT_CALL_HALT)
        require(model.stops == 1, "HALT goes on");
    if (action == ACTION_RESUME)
        check_result(input);
}

static bool overlaps(const struct input *input)
{
    struct range ranges[3];
    unsigned count = ranges_of(input, ranges);

    return count > 1 && ranges[count - 1].start < (uint64_t)input->eax + 40 &&
           input->eax < ranges[count - 1].start + ranges[count - 1].size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t before[MODEL_RAM], after[MODEL_RAM];
    struct input input = {0};

    memcpy(&input, data, MIN(size, sizeof(input)));
    prepare(&input, input.flags & REACHABLE);
    memcpy(before, model.ram, sizeof(before));
    enum exit_action action = run(&input);
    check_memory(&input, before, action == ACTION_STOP);
    check_end(&input, action);
    if (!is_call(&input) || overlaps(&input))
        return 0;
    memcpy(after, model.ram, sizeof(after));
    prepare(&input, !(input.flags & REACHABLE));
    require(run(&input) == action, "it matters where the structure lies");
    require(memcmp(after, model.ram, sizeof(after)) == 0, "other results elsewhere");
    return 0;
}
