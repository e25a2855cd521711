/* SPDX-License-Identifier: MIT */
/* A call with a structure and a pointer that the test chooses: `call=` its number, `at=` the
 * address of the structure, `data=` and `length=` what it says. A guest that survives ends with
 * status 0. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES(HVT_BLOCK("disk"), HVT_NET("net"));

static union {
    struct hvt_puts puts;
    struct hvt_poll poll;
    struct hvt_block block;
    struct hvt_net net;
    struct hvt_halt halt;
} call;

static const uint8_t text[64]; /* constants: not to be written */
static uint8_t bytes[64];

/* A number, or the name of a place. */
static uint64_t place(const char *key, const void *fallback)
{
    const char *value = guest_option(key);

    if (value && strcmp(value, "rodata") == 0)
        return (uintptr_t)text;
    if (value && strcmp(value, "code") == 0)
        return (uintptr_t)main;
    return guest_option_number(key, (uintptr_t)fallback);
}

static size_t fill(unsigned number, uint64_t data, uint64_t length)
{
    switch (number) {
    case HVT_CALL_PUTS:
        call.puts = (struct hvt_puts){data, length};
        return sizeof(call.puts);
    case HVT_CALL_POLL:
        call.poll = (struct hvt_poll){.timeout = 0};
        return sizeof(call.poll);
    case HVT_CALL_BLOCK_READ:
    case HVT_CALL_BLOCK_WRITE:
        call.block = (struct hvt_block){1, 0, data, length, HVT_UNSPECIFIED};
        return sizeof(call.block);
    case HVT_CALL_NET_READ:
    case HVT_CALL_NET_WRITE:
        call.net = (struct hvt_net){2, data, length, HVT_UNSPECIFIED};
        return sizeof(call.net);
    case HVT_CALL_HALT:
        call.halt = (struct hvt_halt){data, 0};
        return sizeof(call.halt);
    default:
        return sizeof(struct hvt_walltime);
    }
}

int main(void)
{
    unsigned number = (unsigned)guest_option_number("call", 0);
    uint64_t at = place("at", &call);
    size_t size = fill(number, place("data", bytes), guest_option_number("length", sizeof(bytes)));

    /* The stack's end is not needed any more: nothing returns. */
    if (at >= (uintptr_t)image_end && at <= guest_boot_info()->mem_size - size)
        memcpy((void *)at, &call, size);
    hvt_call(number, (uint32_t)at);
    printf("survived, result %d\n", number == HVT_CALL_PUTS ? 0 : call.block.result);
    guest_exit(0);
}
