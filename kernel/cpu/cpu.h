/* SPDX-License-Identifier: MIT */
/* The per-CPU block: one page for each processor, found through GS base. Its first words are read
 * by kernel/lib/x86.h (cpu_index) and by the assembly of kernel/cpu. */
#ifndef KERNEL_CPU_CPU_H
#define KERNEL_CPU_CPU_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "kernel/lib/types.h"

#define CPUS_MAX 512

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

struct tss { /* SDM Vol. 3A, figure 7-11 */
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));

/* How far a processor has come. The starter and the started meet here by compare-and-swap, so an
 * AP that answers after its time is up finds CPU_LEFT_OUT and halts. */
enum cpu_state { CPU_STARTING, CPU_ANSWERED, CPU_ONLINE, CPU_LEFT_OUT };

struct vmcs; /* vmx/vmx.h */

struct cpu {
    struct cpu *self;      /* offset 0: this_cpu() */
    uint32_t index;        /* offset 8: cpu_index() */
    uint32_t apic_id;      /* offset 12: trampoline.asm */
    uint64_t stack_top;    /* offset 16: trampoline.asm */
    _Atomic uint32_t state; /* offset 24: enum cpu_state; trampoline.asm */
    uint64_t gdt[5];
    struct tss tss;
    struct vmcs *vmcs_current;       /* vmx/: what is current on this processor, */
    LIST_HEAD(, vmcs) vmcs_loaded;   /* and all that are loaded there */
};

static inline struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    __asm__("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* All processors that were started or are to be, the boot processor first. */
extern struct cpu *cpus[CPUS_MAX];
extern uint32_t cpus_count;

/* Makes the calling processor use `cpu`: GS base, GDT, TSS, IDT. */
void cpu_load(struct cpu *cpu);

/* The boot processor's block, before there is an allocator. IST stacks come with cpu_stacks. */
void cpu_init_boot(void);

/* A new block for a processor with its guarded stacks; NULL when memory is out. */
struct cpu *cpu_create(uint32_t apic_id);

/* Maps the stacks of a block: main (not for the boot processor), NMI, #DF, #MC, each above an
 * unmapped guard page. Returns 0 or -ENOMEM. */
MUST_CHECK int cpu_stacks(struct cpu *cpu, bool main_stack);

/* Turns on what protects the host on this processor: SMEP and SMAP where they exist; and OSXSAVE,
 * with every XCR0 bit that a guest may use. */
void cpu_protect(void);

/* The XCR0 bits that Atoll switches between guests (x87, SSE, AVX, AVX-512 as far as they are
 * here); 0 when the processor has no XSAVE. */
uint64_t cpu_xcr0_supported(void);

#endif
