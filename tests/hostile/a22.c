/* SPDX-License-Identifier: MIT */
/* A22: accesses outside RAM by instructions of all forms, n= of them. Expected: no device is there
 * and no instruction is emulated, so each ends the guest with EPT_VIOLATION at that address. */
#include "tests/hostile/hostile.h"

static uint8_t buffer[4096] __attribute__((aligned(64)));

static void enable_avx(void)
{
    write_cr4(read_cr4() | X86_CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
}

/* A load of which the last byte is behind the end of RAM; where to call it. */
static uint64_t across_the_end(uint64_t end)
{
    static const uint8_t load[] = {0x48, 0x8b}; /* MOV RAX, then what is not there */
    const uint64_t alias = 4 * GIB;
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull), *pdpt, *directory;

    memcpy((void *)(end - sizeof(load)), load, sizeof(load));
    map_far(alias);
    pdpt = (uint64_t *)(pml4[0] & ~0xfffull);
    directory = (uint64_t *)(pdpt[4] & ~0xfffull);
    directory[0] = (end - PAGE_SIZE_2M) | 0x83; /* executable, which start.asm's are not */
    directory[1] = end | 0x83;
    write_cr3(read_cr3());
    return alias + PAGE_SIZE_2M - sizeof(load);
}

CASE(a22)
{
    uint64_t at = guest_ram_end();
    uint64_t count = 512;
    void *to = (void *)at;
    const void *from = buffer;
    uint64_t across = 0;

    if (variant() == 11)
        enable_avx();
    if (variant() == 12)
        across = across_the_end(at);
    farewell_at(at);
    switch (variant()) {
    case 0:
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        break;
    case 1:
        __asm__ volatile("rep movsq" : "+S"(to), "+D"(from), "+c"(count) : : "memory");
        break;
    case 2:
        __asm__ volatile("xchg %%rax, (%0)" : : "r"(at) : "rax", "memory");
        break;
    case 3:
        __asm__ volatile("lock cmpxchg %%rbx, (%0)" : : "r"(at) : "rax", "rbx", "memory");
        break;
    case 4:
        __asm__ volatile("lock addq $1, (%0)" : : "r"(at) : "memory");
        break;
    case 5:
        __asm__ volatile("movaps %%xmm0, (%0)" : : "r"(at) : "memory");
        break;
    case 6:
        __asm__ volatile("fxsave64 (%0)" : : "r"(at) : "memory");
        break;
    case 7:
        __asm__ volatile("push (%0)" : : "r"(at) : "memory");
        break;
    case 8:
        __asm__ volatile("push %%rax\n"
                         "pop (%0)"
                         :
                         : "r"(at)
                         : "memory");
        break;
    case 9:
        __asm__ volatile("rex64 lcall *(%0)" : : "r"(at) : "memory");
        break;
    case 10:
        __asm__ volatile("call *(%0)" : : "r"(at) : "memory");
        break;
    case 11:
        __asm__ volatile("vmovups %%ymm0, (%0)" : : "r"(at) : "memory");
        break;
    case 12:
        ((void (*)(void))across)();
        break;
    case 13: /* fifteen bytes, with prefixes that mean nothing here */
        __asm__ volatile(".byte 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26\n"
                         ".byte 0x2e, 0x66, 0x48, 0x89, 0x08"
                         :
                         : "a"(at)
                         : "memory");
        break;
    }
}
