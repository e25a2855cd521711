/* SPDX-License-Identifier: MIT */
/* GDT, TSS and IDT of an hvt guest, and what happens with an exception: a fix-up of ATTEMPT, or the
 * report that ends the guest (SDM Vol. 3A chapters 6 and 7). */
#include "guests/hvt/lib/guest.h"

#include "guests/hvt/lib/traps.h"
#include "guests/lib/descriptors.h"

#define EXCEPTIONS 32
#define STACK_SIZE 4096
#define TRAP_IST   1

static uint64_t gdt[] = {
    [SELECTOR_CODE64 / 8] = 0x00af9b000000ffff,
    [SELECTOR_DATA / 8] = 0x00cf93000000ffff,
    [SELECTOR_TSS / 8 + 1] = 0,
};
static struct idt_entry idt[EXCEPTIONS];
static struct tss tss;
static uint8_t trap_stack[STACK_SIZE] __attribute__((aligned(16)));
static int last_vector;

void exception_forget(void)
{
    last_vector = NO_EXCEPTION;
}

int exception_last(void)
{
    return last_vector;
}

static _Noreturn void report(const struct exception_frame *f)
{
    static union {
        struct hvt_trap trap;
        uint8_t bytes[HVT_COOKIE_SIZE];
    } cookie;

    cookie.trap = (struct hvt_trap){
        .cr2 = read_cr2(),
        .error_code = f->error_code,
        .rip = f->rip,
        .cs = f->cs,
        .rflags = f->rflags,
        .rsp = f->rsp,
        .ss = f->ss,
    };
    printf("trap: vector=%lu ec=0x%lx rip=0x%lx rsp=0x%lx rflags=0x%lx cr2=0x%lx\n", f->vector,
           f->error_code, f->rip, f->rsp, f->rflags, cookie.trap.cr2);
    printf("ABORT: an exception\n");
    hvt_halt(HVT_ABORT, &cookie);
}

void exception_dispatch(struct exception_frame *frame)
{
    uint64_t resume = exception_fixup(frame->rip);

    if (resume == 0)
        report(frame);
    last_vector = (int)frame->vector;
    frame->rip = resume;
}

/* The selectors are those that the guest was started with; their descriptors now come from here. */
static void segments_load(void)
{
    __asm__ volatile("push %0\n"
                     "lea 1f(%%rip), %%rax\n"
                     "push %%rax\n"
                     "lretq\n"
                     "1: mov %1, %%ss\n"
                     "mov %1, %%ds\n"
                     "mov %1, %%es\n"
                     :
                     : "i"(SELECTOR_CODE64), "r"(SELECTOR_DATA)
                     : "rax", "memory");
}

void traps_init(void)
{
    tss.ist[TRAP_IST - 1] = (uintptr_t)trap_stack + sizeof(trap_stack);
    tss.io_map_base = sizeof(tss);
    gdt_set_tss(&gdt[SELECTOR_TSS / 8], &tss);
    lgdt(gdt, sizeof(gdt));
    segments_load();
    ltr(SELECTOR_TSS);
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++)
        idt[vector] =
            idt_gate(SELECTOR_CODE64, exception_stubs + vector * EXCEPTION_STUB_SIZE, TRAP_IST);
    lidt(idt, sizeof(idt));
}
