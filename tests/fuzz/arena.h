/* SPDX-License-Identifier: MIT */
/* Memory of a machine with ARENA_SIZE bytes, which the includer has, and nothing at address 0: all
 * of it is the allocator's when an input begins. */
#ifndef TESTS_FUZZ_ARENA_H
#define TESTS_FUZZ_ARENA_H

#include "tests/fuzz/input.h"

#include <sys/mman.h>

#include "kernel/mm/frames.h"
#include "kernel/panic.h"

/* Low, because the metadata counts from physical address 0. */
#define ARENA_START 0x10000000ull
#define ARENA_END   (ARENA_START + ARENA_SIZE)

_Noreturn void panic(const char *format, ...)
{
    fprintf(stderr, "panic: %s\n", format);
    abort();
}

static inline void arena_start(void)
{
    static uint8_t metadata[ARENA_END / PAGE_SIZE];
    static void *arena;

    if (!arena) {
        arena = mmap((void *)ARENA_START, ARENA_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        require(arena == (void *)ARENA_START, "no memory for the arena");
    }
    frames_init(metadata, HPA(ARENA_END));
    frames_add(HPA(ARENA_START), HPA(ARENA_END));
}

/* All of it is the allocator's again. */
static inline void arena_end(void)
{
    require(frames_available_count() == frames_total_count(), "frames are lost");
}

static inline void require_zeroed(const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;

    require(byte[0] == 0 && memcmp(byte, byte + 1, size - 1) == 0, "a frame that is not zeroed");
}

#endif
