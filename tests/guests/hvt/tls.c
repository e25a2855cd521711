/* SPDX-License-Identifier: MIT */
/* Thread-local variables (System V ABI for x86-64, variant II: they end where FS points, and a
 * pointer to that place stands there), in two blocks that the guest changes between. */
#include "guests/hvt/lib/guest.h"

#define TLS_SIZE 128 /* more than the variables below */

HVT_DEVICES();

static __thread volatile uint64_t number;
static __thread volatile uint64_t initialised = 0xc0ffee;

extern const char tls_start[], tls_end[]; /* of the initial values; nothing else is initialised */

struct block {
    uint8_t variables[TLS_SIZE];
    struct block *self;
} __attribute__((aligned(64)));

static struct block blocks[2];

static void use(struct block *block)
{
    wrmsr(MSR_FS_BASE, (uintptr_t)&block->self);
}

static void make(struct block *block)
{
    size_t size = (size_t)(tls_end - tls_start);

    block->self = (struct block *)(void *)&block->self;
    memcpy(block->variables + TLS_SIZE - sizeof(number) - size, tls_start, size);
}

int main(void)
{
    for (uint64_t i = 0; i < 2; i++) {
        make(&blocks[i]);
        use(&blocks[i]);
        number = i + 1;
    }
    for (uint64_t i = 0; i < 2; i++) {
        use(&blocks[i]);
        if (number != i + 1 || initialised != 0xc0ffee)
            return 1;
    }
    printf("SUCCESS\n");
    return 0;
}
