/* SPDX-License-Identifier: MIT */
/* G01: the xAPIC page, which a guest has not: by accesses of all widths, not aligned, across its
 * edges, executed (n=); each life of a guest tries another register. Expected: EPT_VIOLATION that
 * names the address, and the APIC of the machine is left alone, or the emulator would stop. */
#include "tests/hostile/hostile.h"

#define APIC_PAGE 0xfee00000ull
#define STEP      0x80 /* from life to life */
#define REGISTER  0x10 /* from way to way */

/* How often it was started before. */
static uint64_t life(void)
{
    struct atoll_vm_info info;
    struct atoll_vm_state state;

    atoll_vm_info(&info);
    expect(atoll_vm_state(info.vm, &state) == sizeof(state), "no state");
    return state.starts - 1;
}

static void execute(uint64_t address)
{
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull), *pdpt, *directory;

    pdpt = (uint64_t *)(pml4[0] & ~0xfffull);
    directory = (uint64_t *)(pdpt[3] & ~0xfffull);
    directory[address >> 21 & 511] = ALIGN_DOWN(address, PAGE_SIZE_2M) | 0x83; /* without NX */
    write_cr3(read_cr3());
    farewell_at(address);
    ((void (*)(void))address)();
}

CASE(g01)
{
    uint64_t at = APIC_PAGE + life() * STEP + variant() % (STEP / REGISTER) * REGISTER;

    switch (variant()) {
    case 0:
        farewell_at(at);
        (void)*(volatile uint8_t *)at;
        break;
    case 1:
        farewell_at(at);
        *(volatile uint16_t *)at = 0xffff;
        break;
    case 2:
        farewell_at(at);
        *(volatile uint32_t *)at = 0xffffffff;
        break;
    case 3:
        farewell_at(at);
        (void)*(volatile uint64_t *)at;
        break;
    case 4: /* not aligned */
        farewell_at(at + 3);
        __asm__ volatile("movl $0x4500, (%0)" : : "r"(at + 3) : "memory");
        break;
    case 5: /* from the page before */
        farewell_at(APIC_PAGE - 2);
        __asm__ volatile("movl $-1, (%0)" : : "r"(APIC_PAGE - 2) : "memory");
        break;
    case 6: /* into the page behind; the second half may be the first to fault */
        farewell();
        __asm__ volatile("movq %1, (%0)" : : "r"(APIC_PAGE + PAGE_SIZE - 4), "r"(~0ul) : "memory");
        break;
    case 7:
        execute(at);
        break;
    case 8:
        farewell_at(at);
        __asm__ volatile("lock orl $1, (%0)" : : "r"(at) : "memory");
        break;
    }
}
