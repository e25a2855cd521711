/* SPDX-License-Identifier: MIT */
/* A21: vCPU 1 keeps rewriting the instruction by which vCPU 0 reads outside RAM. Expected: what the
 * processor says counts, not the bytes: EPT_VIOLATION. */
#include "tests/hostile/hostile.h"

static volatile uint8_t *code;
static _Atomic bool rewrites;

/* MOV RAX, [RDI]; MOV [RDI], RAX; and in between what is neither. */
static void rewrite(void *unused)
{
    static const uint8_t opcodes[] = {0x8b, 0x89, 0x87, 0x03};

    (void)unused;
    for (unsigned i = 0;; i++) {
        code[1] = opcodes[i % ARRAY_SIZE(opcodes)];
        atomic_store(&rewrites, true);
    }
}

CASE(a21)
{
    static const uint8_t load[] = {0x48, 0x8b, 0x07, 0xc3};
    uint64_t end = guest_ram_end(), inside = 0;
    uint8_t *page = pages_alloc(1);

    code = page;
    page_protect(page, PAGE_READ | PAGE_WRITE | PAGE_EXECUTE);
    memcpy(page, load, sizeof(load));
    expect(vcpu_start(1, rewrite, NULL) == 0, "vCPU 1 does not start");
    while (!atomic_load(&rewrites))
        atoll_yield();
    for (unsigned i = 0; i < 20000; i++)
        ((void (*)(uint64_t *))page)(&inside);
    farewell_at(end);
    ((void (*)(uint64_t))page)(end);
}
