/* SPDX-License-Identifier: MIT */
/* What the calls of an hvt guest cost it: TSC ticks of a call, the empty loop taken off; and how
 * far the TSC, which starts with the guest, has come when its first instruction is executed. */
#include "guests/hvt/lib/guest.h"

#define ROUNDS    50
#define TEXT_SIZE 64
#define BLOCK     512

HVT_DEVICES(HVT_BLOCK("storage"));

static char text[TEXT_SIZE];
static uint8_t block[BLOCK] __attribute__((aligned(BLOCK)));
static uint64_t storage;

static void nothing(void)
{
}

static void puts_part(void)
{
    text[TEXT_SIZE - 1] = '.';
    hvt_puts(text, TEXT_SIZE);
}

static void puts_line(void)
{
    text[TEXT_SIZE - 1] = '\n';
    hvt_puts(text, TEXT_SIZE);
}

static void read_block(void)
{
    (void)hvt_block_read(storage, 0, block, BLOCK);
}

static void write_block(void)
{
    (void)hvt_block_write(storage, 0, block, BLOCK);
}

static void wall_time(void)
{
    (void)hvt_walltime();
}

static void poll_once(void)
{
    (void)hvt_poll(0);
}

/* Of the cheapest call: others were interrupted, or made a page of the disk. Each line of text is
 * short: the second call of a round ends it. */
static uint64_t ticks(void (*what)(void))
{
    uint64_t least = UINT64_MAX;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = rdtsc();
        what();
        least = MIN(least, rdtsc() - start);
        if (what == puts_part)
            puts_line();
    }
    return least;
}

static void report(const char *name, void (*what)(void))
{
    uint64_t cost = ticks(what) - ticks(nothing);
    printf("cost: %s %lu ticks\n", name, cost);
}

int main(void)
{
    uint64_t begin = rdtsc(); /* a few instructions behind the entry */
    printf("cost: hvt_entry %lu ticks\n", begin);
    storage = device_handle("storage", HVT_DEVICE_BLOCK);
    memset(text, '-', sizeof text);
    report("hvt_puts_64", puts_part);
    report("hvt_puts_line_64", puts_line);
    report("hvt_block_read_512", read_block);
    report("hvt_block_write_512", write_block);
    report("hvt_walltime", wall_time);
    report("hvt_poll_0", poll_once);
    return 0;
}
