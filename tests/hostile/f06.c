/* SPDX-License-Identifier: MIT */
/* F06: exceptions, an interrupt and an NMI whose stack was never touched, or lies half in such a
 * page, 40 rounds; exceptions whose TSS, IDT entry or GDT entry is in a page that was not.
 * Expected: each comes once, with its error code; what is 0 there leads to the fault that it must.
 * */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

#define VECTOR 0x43
#define PLACE  (5ull << 39) /* not mapped */

static volatile unsigned count;
static uint64_t error_code, vector_seen;

static bool on_event(struct exception_frame *frame)
{
    count++;
    error_code = frame->error_code;
    vector_seen = frame->vector;
    if (frame->vector == VECTOR && apic_bit(APIC_ISR, VECTOR))
        apic_end_of_interrupt();
    else if (frame->vector != VECTOR_NMI)
        frame->rip = frame->rbx;
    return true;
}

#define ON_STACK(rsp, instructions)                                                                \
    __asm__ volatile("lea 2f(%%rip), %%rbx\n"                                                      \
                     "mov %%rsp, %%r12\n"                                                          \
                     "mov %0, %%rsp\n" instructions "\n"                                           \
                     "2: mov %%r12, %%rsp\n"                                                       \
                     :                                                                             \
                     : "r"(rsp), "r"(PLACE)                                                        \
                     : "memory", "cc", "rax", "rbx", "rcx", "rdx", "r12")

static uint64_t fresh(unsigned round)
{
    return (uintptr_t)pages_alloc(2) + PAGE_SIZE + (round & 1 ? 0 : 24);
}

static void came(uint64_t vector, uint64_t code)
{
    expect(count == 1 && vector_seen == vector && error_code == code,
           "vector %lu came %u times, the last one %lu with error code %lx", vector, count,
           vector_seen, error_code);
    count = 0;
}

/* The address 0 as a stack: its top are the last pages of all. */
static void map_top(void)
{
    uint64_t *table = (uint64_t *)(read_cr3() & ~0xfffull);

    for (unsigned level = 0; level < 3; level++) {
        uint64_t *next = pages_alloc(1);
        table[511] = (uintptr_t)next | 3;
        table = next;
    }
    for (unsigned i = 508; i < 512; i++)
        table[i] = (uintptr_t)pages_alloc(1) | 3;
    write_cr3(read_cr3());
}

/* IST2 of a TSS in a fresh page is 0. */
static void fresh_tss(uint64_t *gdt, struct idt_entry *idt)
{
    const struct tss *tss = (struct tss *)((uintptr_t)pages_alloc(2) + PAGE_SIZE - 36);

    gdt_set_tss(&gdt[SELECTOR_TSS / 8], tss);
    ltr(SELECTOR_TSS);
    idt[VECTOR_UD].ist = 2;
    ON_STACK(fresh(0), "ud2");
    came(VECTOR_UD, 0);
    idt[VECTOR_UD].ist = 0;
}

/* The gates from #PF on are in a fresh page: #PF, and then #GP, is #DF. */
static void fresh_idt(const struct idt_entry *idt)
{
    uint8_t *pages = pages_alloc(2);
    struct idt_entry *other = (struct idt_entry *)(pages + PAGE_SIZE) - VECTOR_PF;

    memcpy(other, idt, VECTOR_PF * sizeof(*idt));
    lidt(other, 256 * sizeof(*idt));
    ON_STACK(fresh(0), "mov (%1), %%eax");
    lidt(idt, 256 * sizeof(*idt));
    came(VECTOR_DF, 0);
}

/* A gate's code segment is in a fresh page: #GP of its selector, in the delivery of another. */
static void fresh_gdt(const uint64_t *gdt, struct idt_entry *idt)
{
    uint64_t *other = (uint64_t *)((uintptr_t)pages_alloc(2) + PAGE_SIZE) - 8;

    memcpy(other, gdt, 8 * sizeof(*gdt));
    lgdt(other, 64 * sizeof(*gdt));
    idt[VECTOR_UD].selector = 8 * 8;
    ON_STACK(fresh(0), "ud2");
    idt[VECTOR_UD].selector = SELECTOR_CODE64;
    lgdt(gdt, 8 * sizeof(*gdt));
    came(VECTOR_GP, 8 * 8 | 1);
}

static void fresh_tables(void)
{
    struct descriptor_pointer gdt, idt;
    struct idt_entry *gates;
    uint64_t *entries, tss[2];

    __asm__ volatile("sgdt %0\n"
                     "sidt %1"
                     : "=m"(gdt), "=m"(idt));
    entries = (uint64_t *)gdt.base;
    gates = (struct idt_entry *)idt.base;
    memcpy(tss, &entries[SELECTOR_TSS / 8], sizeof(tss));
    map_top();
    for (unsigned round = 0; round < 20; round++) {
        fresh_idt(gates);
        fresh_gdt(entries, gates);
        fresh_tss(entries, gates);
        memcpy(&entries[SELECTOR_TSS / 8], tss, sizeof(tss));
        entries[SELECTOR_TSS / 8] &= ~BIT(41); /* not busy */
        ltr(SELECTOR_TSS);
    }
}

CASE(f06)
{
    static const unsigned vectors[] = {VECTOR_NMI, VECTOR_UD, VECTOR_DF, VECTOR_GP, VECTOR_PF,
                                       VECTOR};

    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
        exception_handler_set(vectors[i], on_event);
    interrupts_off();
    for (unsigned round = 0; round < 40; round++) {
        ON_STACK(fresh(round), "mov (%1), %%eax");
        came(VECTOR_PF, 0);
        ON_STACK(fresh(round), "movb $0, (%1)");
        came(VECTOR_PF, 2);
        ON_STACK(fresh(round), "ud2");
        came(VECTOR_UD, 0);
        ON_STACK(fresh(round), "mov $0xfff0, %%eax\n"
                               "mov %%eax, %%ds");
        came(VECTOR_GP, 0xfff0);
        ON_STACK(fresh(round), "mov $0x83f, %%ecx\n" /* SELF IPI */
                               "mov $0x43, %%eax\n"
                               "xor %%edx, %%edx\n"
                               "wrmsr\n"
                               "sti\n"
                               "nop\n"
                               "nop\n"
                               "cli");
        came(VECTOR, 0);
        ON_STACK(fresh(round), "mov $0x830, %%ecx\n" /* an NMI to itself */
                               "mov $0x4400, %%eax\n"
                               "xor %%edx, %%edx\n"
                               "wrmsr\n"
                               "nop\n"
                               "nop");
        came(VECTOR_NMI, 0);
    }
    fresh_tables();
    interrupts_on();
}
