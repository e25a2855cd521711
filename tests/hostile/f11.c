/* SPDX-License-Identifier: MIT */
/* F11: an exiting instruction as the last bytes below the edge of canonical addresses. Expected:
 * #GP in the guest at the address behind it, no failed entry. */
#include "tests/hostile/hostile.h"

#define LAST_PAGE 0x7ffffffff000ull
#define EDGE      0x800000000000ull

static volatile unsigned count;
static uint64_t rip;

static bool on_fault(struct exception_frame *frame)
{
    count++;
    rip = frame->rip;
    frame->rip = frame->r12;
    return true;
}

static void try(uint8_t *page, uint8_t first, uint8_t second, uint32_t eax)
{
    page[PAGE_SIZE - 2] = first;
    page[PAGE_SIZE - 1] = second;
    count = 0;
    __asm__ volatile("lea 2f(%%rip), %%r12\n"
                     "jmp *%0\n"
                     "2:"
                     :
                     : "r"(LAST_PAGE + PAGE_SIZE - 2), "a"(eax), "c"(MSR_EFER), "d"(0)
                     : "rbx", "r12", "memory");
    expect(count == 1 && rip == EDGE, "%02x %02x: %u faults, the last at %lx", first, second, count,
           rip);
}

CASE(f11)
{
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull);
    uint64_t *pdpt = pages_alloc(1), *directory = pages_alloc(1), *table = pages_alloc(1);
    uint8_t *page = pages_alloc(1);

    pml4[255] = (uintptr_t)pdpt | 3;
    pdpt[511] = (uintptr_t)directory | 3;
    directory[511] = (uintptr_t)table | 3;
    table[511] = (uintptr_t)page | 3; /* to be executed */
    exception_handler_set(VECTOR_GP, on_fault);
    for (unsigned i = 0; i < 20; i++) {
        try(page, 0x0f, 0xa2, 0); /* CPUID */
        try(page, 0x0f, 0x08, 0); /* INVD */
        try(page, 0x0f, 0x32, 0); /* RDMSR */
        try(page, 0xe4, 0x80, 0); /* IN */
        try(page, 0xf3, 0x90, 0); /* PAUSE */
        try(page, 0x90, 0x90, 0); /* no exit */
    }
    exception_handler_set(VECTOR_GP, NULL);
}
