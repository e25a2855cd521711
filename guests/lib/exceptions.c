/* SPDX-License-Identifier: MIT */
/* IDT, TSS and what happens with an exception: a fix-up of ATTEMPT, the guest's handler, or the
 * report that ends the guest (SDM Vol. 3A chapters 6 and 7). */
#include "guests/lib/guest.h"

#define VECTORS          256
#define STUB_SIZE        16
#define STACK_SIZE       (16 * KIB)
#define INTERRUPT_GATE   0x8e /* present, DPL 0 */
#define TSS_AVAILABLE    0x89
#define IST_DOUBLE_FAULT 1

struct idt_entry {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
} __attribute__((packed));

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; /* IST1 to IST7 */
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
} __attribute__((packed));

struct descriptor_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

struct fixup {
    uint64_t fault, resume; /* addresses of instructions */
};

extern const char exception_stubs[];
extern uint64_t guest_gdt[];
extern const struct fixup fixups_start[], fixups_end[];

void exception_dispatch(struct exception_frame *frame); /* called by exceptions.asm */

static struct idt_entry idt[VECTORS] __attribute__((aligned(16)));
static struct tss tss;
static char double_fault_stack[STACK_SIZE] __attribute__((aligned(16)));
static char user_exception_stack[STACK_SIZE] __attribute__((aligned(16)));
static bool (*handlers[VECTORS])(struct exception_frame *frame);
static int last_vector = NO_EXCEPTION;
static bool reporting;

static const struct {
    const char *mnemonic, *meaning;
} exceptions[32] = {
    [0] = {"#DE", "divide error"},
    [1] = {"#DB", "debug exception"},
    [2] = {"NMI", "non-maskable interrupt"},
    [3] = {"#BP", "breakpoint"},
    [4] = {"#OF", "overflow"},
    [5] = {"#BR", "bound range exceeded"},
    [6] = {"#UD", "undefined opcode"},
    [7] = {"#NM", "no math coprocessor"},
    [8] = {"#DF", "double fault"},
    [9] = {"(9)", "coprocessor segment overrun"},
    [10] = {"#TS", "invalid TSS"},
    [11] = {"#NP", "segment not present"},
    [12] = {"#SS", "stack-segment fault"},
    [13] = {"#GP", "general protection"},
    [14] = {"#PF", "page fault"},
    [15] = {"(15)", "reserved"},
    [16] = {"#MF", "x87 floating-point error"},
    [17] = {"#AC", "alignment check"},
    [18] = {"#MC", "machine check"},
    [19] = {"#XM", "SIMD floating-point exception"},
    [20] = {"#VE", "virtualization exception"},
    [21] = {"#CP", "control protection exception"},
};

const char *exception_name(int vector)
{
    if (vector < 0)
        return "no exception";
    if (vector >= (int)ARRAY_SIZE(exceptions))
        return "interrupt";
    return exceptions[vector].mnemonic ? exceptions[vector].mnemonic : "(reserved)";
}

void exception_handler_set(unsigned vector, bool (*handler)(struct exception_frame *frame))
{
    if (vector < VECTORS)
        handlers[vector] = handler;
}

void exception_forget(void)
{
    last_vector = NO_EXCEPTION;
}

int exception_last(void)
{
    return last_vector;
}

static bool fix_up(struct exception_frame *frame)
{
    for (const struct fixup *f = fixups_start; f < fixups_end; f++) {
        if (f->fault != frame->rip)
            continue;
        last_vector = (int)frame->vector;
        frame->rip = f->resume;
        return true;
    }
    return false;
}

static void report(const struct exception_frame *f)
{
    unsigned vector = (unsigned)f->vector;
    const char *meaning = vector < ARRAY_SIZE(exceptions) ? exceptions[vector].meaning : NULL;

    console_flush();
    printf("exception %u %s %s, error code 0x%lx\n", vector, exception_name((int)vector),
           meaning ? meaning : "", f->error_code);
    printf("  rip=%016lx rsp=%016lx cr2=%016lx\n", f->rip, f->rsp, read_cr2());
    printf("  rflags=%lx cs=%lx ss=%lx cr0=%lx cr3=%lx cr4=%lx\n", f->rflags, f->cs, f->ss,
           read_cr0(), read_cr3(), read_cr4());
    printf("  rax=%016lx rbx=%016lx rcx=%016lx\n", f->rax, f->rbx, f->rcx);
    printf("  rdx=%016lx rsi=%016lx rdi=%016lx\n", f->rdx, f->rsi, f->rdi);
    printf("  rbp=%016lx  r8=%016lx  r9=%016lx\n", f->rbp, f->r8, f->r9);
    printf("  r10=%016lx r11=%016lx r12=%016lx\n", f->r10, f->r11, f->r12);
    printf("  r13=%016lx r14=%016lx r15=%016lx\n", f->r13, f->r14, f->r15);
}

void exception_dispatch(struct exception_frame *frame)
{
    bool (*handler)(struct exception_frame *) = handlers[frame->vector];

    if (fix_up(frame))
        return;
    if (handler && handler(frame))
        return;
    /* An exception while one is reported: the console itself does not work. */
    while (reporting)
        halt();
    reporting = true;
    report(frame);
    guest_exit((int)MIN(EXCEPTION_STATUS + frame->vector, 255));
}

static void idt_set(unsigned vector, unsigned ist)
{
    uint64_t stub = (uintptr_t)exception_stubs + vector * STUB_SIZE;

    idt[vector] = (struct idt_entry){
        .offset_low = (uint16_t)stub,
        .selector = SELECTOR_CODE64,
        .ist = (uint8_t)ist,
        .type = INTERRUPT_GATE,
        .offset_middle = (uint16_t)(stub >> 16),
        .offset_high = (uint32_t)(stub >> 32),
    };
}

static void tss_load(void)
{
    uint64_t base = (uintptr_t)&tss;

    tss.rsp[0] = (uintptr_t)user_exception_stack + STACK_SIZE;
    tss.ist[IST_DOUBLE_FAULT - 1] = (uintptr_t)double_fault_stack + STACK_SIZE;
    tss.io_map_base = sizeof(tss);
    guest_gdt[SELECTOR_TSS / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 |
                                  (uint64_t)TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    guest_gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS) : "memory");
}

void exceptions_init(void)
{
    struct descriptor_pointer pointer = {sizeof(idt) - 1, (uintptr_t)idt};

    for (unsigned vector = 0; vector < VECTORS; vector++)
        idt_set(vector, vector == VECTOR_DF ? IST_DOUBLE_FAULT : 0);
    tss_load();
    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}
