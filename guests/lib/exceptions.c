/* SPDX-License-Identifier: MIT */
/* IDT, TSS and what happens with an exception: a fix-up of ATTEMPT, the guest's handler, or the
 * report that ends the guest (SDM Vol. 3A chapters 6 and 7). */
#include "guests/lib/guest.h"

#include "guests/lib/vcpu.h"

#define VECTORS 256

extern const uint64_t guest_gdt[VCPU_GDT_ENTRIES];

static struct idt_entry idt[VECTORS] __attribute__((aligned(16)));
static bool (*_Atomic handlers[VECTORS])(struct exception_frame *frame);
static _Atomic bool reporting;

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
        atomic_store(&handlers[vector], handler);
}

void exception_gate_open(unsigned vector)
{
    if (vector < VECTORS)
        idt[vector].type |= GATE_DPL3;
}

void exception_forget(void)
{
    vcpu_this()->last_vector = NO_EXCEPTION;
}

int exception_last(void)
{
    return vcpu_this()->last_vector;
}

/* An interrupt or an NMI may come just where ATTEMPT's instruction is about to run: it is none of
 * its faults. */
static bool fix_up(struct exception_frame *frame)
{
    if (frame->vector >= APIC_VECTOR_FIRST || frame->vector == VECTOR_NMI)
        return false;
    uint64_t resume = exception_fixup(frame->rip);
    if (resume == 0)
        return false;
    vcpu_this()->last_vector = (int)frame->vector;
    frame->rip = resume;
    return true;
}

static void report(const struct exception_frame *f)
{
    unsigned vector = (unsigned)f->vector;
    const char *meaning = vector < ARRAY_SIZE(exceptions) ? exceptions[vector].meaning : NULL;

    console_flush();
    printf("exception %u %s %s, error code 0x%lx, vCPU %u\n", vector, exception_name((int)vector),
           meaning ? meaning : "", f->error_code, vcpu_index());
    printf("  rip=%016lx rsp=%016lx cr2=%016lx\n", f->rip, f->rsp, read_cr2());
    printf("  rflags=%lx cs=%lx ss=%lx cr0=%lx cr3=%lx cr4=%lx\n", f->rflags, f->cs, f->ss,
           read_cr0(), read_cr3(), read_cr4());
    printf("  rax=%016lx rbx=%016lx rcx=%016lx\n", f->rax, f->rbx, f->rcx);
    printf("  rdx=%016lx rsi=%016lx rdi=%016lx\n", f->rdx, f->rsi, f->rdi);
    printf("  rbp=%016lx  r8=%016lx  r9=%016lx\n", f->rbp, f->r8, f->r9);
    printf("  r10=%016lx r11=%016lx r12=%016lx\n", f->r10, f->r11, f->r12);
    printf("  r13=%016lx r14=%016lx r15=%016lx\n", f->r13, f->r14, f->r15);
}

/* A handler may use ATTEMPT: the code that it interrupts does not notice. */
static bool handle(struct exception_frame *frame)
{
    bool (*handler)(struct exception_frame *) = atomic_load(&handlers[frame->vector]);
    struct vcpu *vcpu = vcpu_this();
    int last_vector = vcpu->last_vector;

    bool handled = handler && handler(frame);
    if (!handled)
        handled = interrupt_dispatch((unsigned)frame->vector);
    vcpu->last_vector = last_vector;
    return handled;
}

void exception_dispatch(struct exception_frame *frame)
{
    if (fix_up(frame) || handle(frame))
        return;
    /* One report ends the guest: another vCPU's, or an exception while this one is made (the
     * console itself does not work), has to wait for that. */
    while (atomic_exchange(&reporting, true))
        halt();
    console_take_over();
    report(frame);
    guest_exit((int)MIN(EXCEPTION_STATUS + frame->vector, 255));
}

static void gdt_load(struct vcpu *vcpu)
{
    memcpy(vcpu->gdt, guest_gdt, sizeof(vcpu->gdt));
    vcpu->tss.io_map_base = sizeof(vcpu->tss);
    gdt_set_tss(&vcpu->gdt[SELECTOR_TSS / 8], &vcpu->tss);
    lgdt(vcpu->gdt, sizeof(vcpu->gdt));
    ltr(SELECTOR_TSS);
}

void exceptions_load(struct vcpu *vcpu)
{
    gdt_load(vcpu);
    lidt(idt, sizeof(idt));
    wrmsr(MSR_GS_BASE, (uintptr_t)vcpu);
}

void exceptions_init(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++)
        idt[vector] = idt_gate(SELECTOR_CODE64, exception_stubs + vector * EXCEPTION_STUB_SIZE,
                               vector == VECTOR_DF ? IST_DOUBLE_FAULT : 0);
}
