/* SPDX-License-Identifier: MIT */
/* Fills memory with the secret: takes all frames there are, the largest blocks first, writes them
 * full and gives them back. The blocks are a list through their own first words meanwhile. */
#include "kernel/mm/secret.h"

#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"

#define STACK_WORDS 64

struct taken {
    hpa_t next; /* 0: the last one */
    unsigned order;
};

static uint64_t *kept;

static void fill(volatile uint64_t *words, size_t count)
{
    __asm__ volatile("rep stosq"
                     : "+D"(words), "+c"(count)
                     : "a"(SECRET_MASK ^ SECRET_MASKED)
                     : "memory");
}

static size_t words_of(unsigned order)
{
    return (PAGE_SIZE << order) / sizeof(uint64_t);
}

void secret_plant(void)
{
    volatile uint64_t on_stack[STACK_WORDS];
    hpa_t first = HPA(0), block;
    uint64_t frames = 0;
    fill(on_stack, STACK_WORDS);
    kept = page_alloc();
    if (kept)
        fill(kept, words_of(0));
    for (unsigned order = FRAME_MAX_ORDER + 1; order-- > 0;) {
        while (frame_alloc(order, &block) == 0) {
            struct taken *taken = phys_to_virt(block);
            *taken = (struct taken){first, order};
            first = block;
        }
    }
    while (first.value) {
        const struct taken taken = *(struct taken *)phys_to_virt(first);
        fill(phys_to_virt(first), words_of(taken.order));
        if (frame_free(first, taken.order))
            panic("a frame that the secret lies in was not ours");
        frames += BIT(taken.order);
        first = taken.next;
    }
    log_info("selftest=hostile: a secret lies in %llu free frames", (unsigned long long)frames);
}
