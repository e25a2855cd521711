/* SPDX-License-Identifier: MIT */
/* F11: an exiting instruction as the last bytes below the edge of canonical addresses, of the first
 * 4 GiB in compatibility mode, and of 64 KiB in real mode. Expected: #GP in the guest at the
 * address behind it, or that EIP wraps as the processor has it; no failed entry. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

#define LAST_PAGE  0x7ffffffff000ull
#define EDGE       0x800000000000ull
#define LAST_OF_4G 0xfffff000ull

static volatile unsigned count;
static uint64_t rip, vector;

static bool on_fault(struct exception_frame *frame)
{
    count++;
    rip = frame->rip;
    vector = frame->vector;
    frame->rip = frame->rdi;
    frame->cs = SELECTOR_CODE64;
    return true;
}

static void try_64(const char *name)
{
    count = 0;
    __asm__ volatile("lea 2f(%%rip), %%rdi\n"
                     "jmp *%0\n"
                     "2:"
                     :
                     : "r"(LAST_PAGE + PAGE_SIZE - 2), "a"(0), "c"(MSR_EFER), "d"(0)
                     : "rbx", "rdi", "memory");
    expect(count == 1 && vector == VECTOR_GP && rip == EDGE, "%s: %u faults, the last at %lx", name,
           count, rip);
}

static void try_compatible(const char *name)
{
    count = 0;
    __asm__ volatile("lea 2f(%%rip), %%rdi\n"
                     "push %0\n"
                     "push %1\n"
                     "lretq\n"
                     "2:"
                     :
                     : "i"(SELECTOR_CODE32), "r"(LAST_OF_4G + PAGE_SIZE - 2), "a"(0), "c"(MSR_EFER),
                       "d"(0)
                     : "rbx", "rdi", "memory");
    expect(count == 1 && ((vector == VECTOR_PF && rip == 0) || vector == VECTOR_GP),
           "%s below 4 GiB: %u faults, the last %s at %lx", name, count,
           exception_name((int)vector), rip);
}

static void map(uint64_t linear, const uint8_t *page)
{
    uint64_t *table = (uint64_t *)(read_cr3() & ~0xfffull);

    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = &table[linear >> shift & 511];
        if (!(*entry & 1) || (shift == 21 && (*entry & BIT(7))))
            *entry = (uintptr_t)pages_alloc(1) | 3;
        table = (uint64_t *)(*entry & 0x000ffffffffff000);
    }
    table[linear >> 12 & 511] = (uintptr_t)page | 3; /* to be executed */
}

CASE(f11)
{
    static const struct {
        uint8_t bytes[2];
        const char *name;
        bool exits;
    } code[] = {{{0x0f, 0xa2}, "CPUID", true}, {{0x0f, 0x08}, "INVD", true},
                {{0x0f, 0x32}, "RDMSR", true}, {{0xe4, 0x80}, "IN", true},
                {{0xf3, 0x90}, "PAUSE", false}, {{0x90, 0x90}, "NOP", false}};
    uint8_t *page = pages_alloc(1);

    map(LAST_PAGE, page);
    map(LAST_OF_4G, page);
    write_cr3(read_cr3());
    exception_handler_set(VECTOR_GP, on_fault);
    exception_handler_set(VECTOR_PF, on_fault);
    real_mode_idt[VECTOR_GP] = (uint32_t)((uintptr_t)segment16 >> 4 << 16 |
                                          (uint16_t)(edge_handler - segment16));
    entry_rax = 0;
    entry_rest = ((uintptr_t)page + PAGE_SIZE - 0x10000) >> 4;
    for (unsigned i = 0; i < 20; i++) {
        for (size_t j = 0; j < ARRAY_SIZE(code); j++) {
            memcpy(page + PAGE_SIZE - 2, code[j].bytes, 2);
            try_64(code[j].name);
            if (code[j].exits) /* for others Bochs has no edge at 4 GiB */
                try_compatible(code[j].name);
            if (code[j].bytes[1] == 0x32) /* RDMSR of what ECX happens to be */
                continue;
            uint32_t ip = run16(edge16);
            expect(ip == 1u << 16, "%s below 64 KiB: %x", code[j].name, ip);
        }
    }
    exception_handler_set(VECTOR_GP, NULL);
    exception_handler_set(VECTOR_PF, NULL);
}
