/* SPDX-License-Identifier: MIT */
/* The exits that a guest causes only once: those that end it (SDM Vol. 3C 25.2, 25.4.2). */
#include "guests/tour/tour.h"

#define TSS32_SIZE      104
#define TSS32_AVAILABLE 0x89
#define CODE32          0x00cf9b000000ffffull
#define DATA32          0x00cf93000000ffffull

static struct descriptor_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) no_idt, task_gdt_pointer;

static uint64_t task_gdt[6]; /* null, code, data, unused, this TSS, the next TSS */
static uint8_t this_tss[TSS32_SIZE], next_tss[TSS32_SIZE];

static void triple_fault(void)
{
    __asm__ volatile("lidt %0\n"
                     "int3"
                     :
                     : "m"(no_idt));
}

static uint64_t tss32_descriptor(const void *tss)
{
    uint64_t base = (uintptr_t)tss;

    return (TSS32_SIZE - 1) | (base & 0xffffff) << 16 | (uint64_t)TSS32_AVAILABLE << 40 |
           (base >> 24 & 0xff) << 56;
}

static void switch_task(void)
{
    task_gdt[1] = CODE32;
    task_gdt[2] = DATA32;
    task_gdt[SELECTOR_THIS_TSS / 8] = tss32_descriptor(this_tss);
    task_gdt[SELECTOR_NEXT_TSS / 8] = tss32_descriptor(next_tss);
    task_gdt_pointer.limit = sizeof(task_gdt) - 1;
    task_gdt_pointer.base = (uintptr_t)task_gdt;
    task_switch(&task_gdt_pointer);
}

static void ept_violation(void)
{
    (void)*(volatile uint64_t *)guest_ram_end();
}

static void halt_forever(void)
{
    interrupts_off();
    halt();
}

const struct finale finales[] = {
    {"triple-fault", "INT3 without an IDT", "25.2", "reason 2, a triple fault", triple_fault},
    {"task-switch", "JMP to a TSS", "25.4.2", "reason 9, task switches exit always", switch_task},
    {"ept", "a load behind the end of RAM", "25.2", "reason 48, an EPT violation", ept_violation},
    {"halt", "HLT with interrupts off", "25.1.3", "reason 12, by HLT exiting", halt_forever},
};

const size_t finale_count = ARRAY_SIZE(finales);
