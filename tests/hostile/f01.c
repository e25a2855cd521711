/* SPDX-License-Identifier: MIT */
/* F01: triple faults, n= of them: no IDT, no page tables, no stack in 64-bit mode, no IDT in
 * 32-bit and in real mode. Expected: TRIPLE_FAULT. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"
#include "tests/hostile/modes.h"

static uint64_t no_pages[512] __attribute__((aligned(4096)));

/* No stack of its own for #DF, and none for the exception before. */
static void no_stack(void)
{
    static struct idt_entry idt[32];
    struct descriptor_pointer old;

    __asm__ volatile("sidt %0" : "=m"(old));
    memcpy(idt, (const void *)old.base, sizeof(idt));
    idt[VECTOR_DF].ist = 0;
    lidt(idt, sizeof(idt));
    __asm__ volatile("mov %0, %%rsp\n"
                     "ud2"
                     :
                     : "r"(BIT(63) | 0x1000));
}

CASE(f01)
{
    farewell();
    switch (variant()) {
    case 0:
        lidt(NULL, 1);
        __asm__ volatile("ud2");
        break;
    case 1:
        write_cr3((uintptr_t)no_pages);
        break;
    case 2:
        no_stack();
        break;
    case 3:
        run32(triple32);
        break;
    case 4:
        run16(triple16);
        break;
    }
}
