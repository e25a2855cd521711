/* SPDX-License-Identifier: MIT */
/* E06: entries with reserved bits: physical addresses too large, PS in the PML4, a page of 1 GiB
 * that is not aligned, or any where CPUID hides them. Expected: #PF with RSVD in the guest only. */
#include "tests/hostile/hostile.h"

#define RSVD BIT(3)
#define PLACE (3ull << 39)

static uint64_t error_code;
static unsigned count;

static bool on_fault(struct exception_frame *frame)
{
    error_code = frame->error_code;
    count++;
    frame->rip += 3; /* behind the load */
    return true;
}

static void load(void)
{
    write_cr3(read_cr3());
    __asm__ volatile("mov (%0), %%rax" : : "r"(PLACE) : "rax");
}

CASE(e06)
{
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull);
    uint64_t *pdpt = pages_alloc(1), *directory = pages_alloc(1), *table = pages_alloc(1);
    bool has_1g = cpu_has((struct cpuid_feature){0x80000001, 0, 3, 26});
    unsigned bits = cpuid(0x80000008, 0).eax & 0xff, wanted = 0;

    exception_handler_set(VECTOR_PF, on_fault);
    pml4[3] = (uintptr_t)pdpt | 3 | BIT(7);
    load();
    expect(count == ++wanted && (error_code & RSVD), "PS in the PML4: %u, %lx", count, error_code);
    pml4[3] = (uintptr_t)pdpt | 3;
    pdpt[0] = has_1g ? 0x83 | BIT(13) : 0x83;
    load();
    expect(count == ++wanted && (error_code & RSVD), "1 GiB: %u, %lx", count, error_code);
    pdpt[0] = (uintptr_t)directory | 3;
    directory[0] = (uintptr_t)table | 3;
    for (unsigned bit = bits; bit < 52; bit++) {
        table[0] = (uintptr_t)table | 3 | BIT(bit);
        load();
        expect(count == ++wanted && (error_code & RSVD), "bit %u: %u, %lx", bit, count,
               error_code);
    }
    directory[0] = PAGE_SIZE_2M | 0x83 | BIT(13); /* reserved in a large page */
    load();
    expect(count == ++wanted && (error_code & RSVD), "a large page: %u, %lx", count, error_code);
    pml4[3] = 0;
    write_cr3(read_cr3());
    exception_handler_set(VECTOR_PF, NULL);
}
