/* SPDX-License-Identifier: MIT */
/* The IDT and what happens in it: fix-ups, interrupts, NMIs, and panics with registers
 * (SDM Vol. 3A, chapter 6). */
#include "kernel/cpu/traps.h"

#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/panic.h"

struct idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
} __attribute__((packed));

struct fixup {
    uint64_t fault, resume;
};

#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate */
#define ISA_VECTORS    0x20 /* where the masked 8259s would deliver spurious interrupts */
#define ISA_VECTORS_END 0x30
#define EXCEPTIONS     32

extern const uint64_t trap_entries[256];
extern const struct fixup fixup_start[], fixup_end[];
void trap(struct trap_frame *frame);

static struct idt_gate idt[256];

static const char *const exception_names[EXCEPTIONS] = {
    "#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound range",
    "#UD invalid opcode", "#NM device not available", "#DF double fault", "reserved",
    "#TS invalid TSS", "#NP segment not present", "#SS stack fault", "#GP general protection",
    "#PF page fault", "reserved", "#MF x87 error", "#AC alignment check", "#MC machine check",
    "#XM SIMD error", "#VE virtualization", "#CP control protection", "reserved", "reserved",
    "reserved", "reserved", "reserved", "reserved", "#HV", "#VC", "#SX", "reserved",
};

static uint8_t ist_of(unsigned vector)
{
    switch (vector) {
    case EXCEPTION_NMI:
        return 1;
    case EXCEPTION_DF:
        return 2;
    case EXCEPTION_MC:
        return 3;
    default:
        return 0;
    }
}

static void set_gate(unsigned vector, uint64_t entry)
{
    idt[vector] = (struct idt_gate){
        .offset_low = (uint16_t)entry,
        .selector = SELECTOR_CODE,
        .ist = ist_of(vector),
        .type = GATE_INTERRUPT,
        .offset_middle = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
}

void traps_init(void)
{
    for (unsigned vector = 0; vector < ARRAY_SIZE(idt); vector++)
        set_gate(vector, trap_entries[vector]);
    set_gate(VECTOR_TIMER, (uint64_t)apic_wake_gate); /* on the way of every wake-up */
    set_gate(VECTOR_WAKE, (uint64_t)apic_wake_gate);
}

void traps_load(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

static bool fix_up(struct trap_frame *frame)
{
    for (const struct fixup *f = fixup_start; f < fixup_end; f++) {
        if (f->fault != frame->rip)
            continue;
        frame->rip = f->resume;
        frame->r11 = FAULTED | frame->vector;
        return true;
    }
    return false;
}

void interrupt_handle(unsigned vector)
{
    if (vector == VECTOR_SPURIOUS || (vector >= ISA_VECTORS && vector < ISA_VECTORS_END))
        return; /* not in service anywhere: an EOI would end another interrupt */
    apic_eoi();
}

void trap(struct trap_frame *frame)
{
    if (frame->vector >= EXCEPTIONS) {
        interrupt_handle((unsigned)frame->vector);
        return;
    }
    if (frame->vector == EXCEPTION_NMI) {
        if (panic_in_progress())
            halt_forever();
        return; /* outside a panic all that it does is to end a guest's stay, as interrupts do */
    }
    if (frame->vector != EXCEPTION_DF && frame->vector != EXCEPTION_MC && fix_up(frame))
        return;

    const struct panic_registers registers = {
        .rip = frame->rip, .rsp = frame->rsp, .rbp = frame->rbp, .rflags = frame->rflags,
        .gpr = {frame->rax, frame->rbx, frame->rcx, frame->rdx, frame->rsi, frame->rdi, frame->r8,
                frame->r9, frame->r10, frame->r11, frame->r12, frame->r13, frame->r14, frame->r15},
        .cr0 = read_cr0(), .cr2 = read_cr2(), .cr3 = read_cr3(), .cr4 = read_cr4(),
    };
    panic_at(&registers, "%s in the hypervisor, error code 0x%llx",
             exception_names[frame->vector], (unsigned long long)frame->error_code);
}

bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    register uint32_t fault __asm__("r11");
    __asm__ volatile(FAULT_SAFE("rdmsr") : "+a"(low), "+d"(high), "=r"(fault) : "c"(msr));
    *value = fault ? 0 : (uint64_t)high << 32 | low;
    return !fault;
}

bool wrmsr_safe(uint32_t msr, uint64_t value)
{
    register uint32_t fault __asm__("r11");
    __asm__ volatile(FAULT_SAFE("wrmsr")
                     : "=r"(fault)
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return !fault;
}
