/* SPDX-License-Identifier: MIT */
/* What makes a processor Atoll's own: its block behind GS, descriptor tables, TSS, guarded stacks
 * (SDM Vol. 3A, chapters 3 and 7). */
#include "kernel/cpu/cpu.h"

#include <linux/errno.h>

#include "kernel/cpu/traps.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"

#define GDT_CODE 0x00af9b000000ffffull /* 64-bit, DPL 0 */
#define GDT_DATA 0x00cf93000000ffffull
#define TSS_AVAILABLE 0x89ull

#define STACKS_SLOT    (128 * KIB) /* of address space for each processor */
#define STACK_MAIN     (16 * KIB)
#define STACK_IST      (8 * KIB)
#define IST_STACKS     3 /* NMI, #DF, #MC: the order of traps.c */

_Static_assert(offsetof(struct cpu, index) == 8, "x86.h cpu_index");
_Static_assert(offsetof(struct cpu, apic_id) == 12, "trampoline.asm");
_Static_assert(offsetof(struct cpu, stack_top) == 16, "trampoline.asm");
_Static_assert(offsetof(struct cpu, state) == 24, "trampoline.asm");
_Static_assert(CPU_STARTING == 0 && CPU_ANSWERED == 1, "trampoline.asm");
_Static_assert(sizeof(struct cpu) <= PAGE_SIZE, "the block is one page");

/* Entry 1 of IA32_PAT, for PAGING_COMBINED (SDM Vol. 3A, 11.12.2: 1 is write-combining). */
#define PAT_ENTRY_1    0xff00ull
#define PAT_ENTRY_1_WC 0x0100ull

extern char boot_stack_end[];

struct cpu *cpus[CPUS_MAX];
uint32_t cpus_count;
static struct cpu boot_cpu;

static void add(struct cpu *cpu)
{
    cpu->self = cpu;
    cpu->index = cpus_count;
    cpus[cpus_count] = cpu;
    /* release: whoever sees the count sees the block */
    __atomic_store_n(&cpus_count, cpus_count + 1, __ATOMIC_RELEASE);
}

static void fill_gdt(struct cpu *cpu)
{
    uint64_t base = (uint64_t)&cpu->tss;
    uint64_t limit = sizeof(struct tss) - 1;
    cpu->tss.io_map_base = sizeof(struct tss);
    cpu->gdt[SELECTOR_CODE / 8] = GDT_CODE;
    cpu->gdt[SELECTOR_DATA / 8] = GDT_DATA;
    cpu->gdt[SELECTOR_TSS / 8] = limit | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 |
                                 (base >> 24 & 0xff) << 56;
    cpu->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
}

void cpu_load(struct cpu *cpu)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr = {sizeof cpu->gdt - 1, (uint64_t)cpu->gdt};

    fill_gdt(cpu); /* anew: LTR below leaves the TSS busy */
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n\t"
                     "1: movl %2, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "movl %3, %%eax\n\t"
                     "ltr %%ax"
                     :
                     : "m"(gdtr), "i"(SELECTOR_CODE), "i"(SELECTOR_DATA), "i"(SELECTOR_TSS)
                     : "rax", "memory");
    wrmsr(MSR_GS_BASE, (uint64_t)cpu);
    traps_load();
}

void cpu_init_boot(void)
{
    boot_cpu.state = CPU_ONLINE;
    boot_cpu.apic_id = cpuid(1, 0).ebx >> 24;
    boot_cpu.stack_top = (uint64_t)boot_stack_end;
    add(&boot_cpu);
    traps_init();
    cpu_load(&boot_cpu);
}

/* One stack ending below the next guard page. */
static int map_stack(uint64_t bottom, uint64_t size)
{
    for (uint64_t offset = 0; offset < size; offset += PAGE_SIZE) {
        void *page = page_alloc();
        if (!page)
            return -ENOMEM;
        if (paging_map(bottom + offset, virt_to_phys(page), PAGE_SIZE, PAGING_WRITE))
            return -ENOMEM;
    }
    return 0;
}

int cpu_stacks(struct cpu *cpu, bool main_stack)
{
    uint64_t bottom = STACKS_BASE + cpu->index * STACKS_SLOT + PAGE_SIZE;
    if (main_stack) {
        if (map_stack(bottom, STACK_MAIN))
            return -ENOMEM;
        cpu->stack_top = bottom + STACK_MAIN;
    }
    bottom += STACK_MAIN + PAGE_SIZE;
    for (unsigned i = 0; i < IST_STACKS; i++) {
        if (map_stack(bottom, STACK_IST))
            return -ENOMEM;
        cpu->tss.ist[i] = bottom + STACK_IST;
        bottom += STACK_IST + PAGE_SIZE;
    }
    return 0;
}

struct cpu *cpu_create(uint32_t apic_id)
{
    struct cpu *cpu = page_alloc();
    if (!cpu || cpus_count == CPUS_MAX)
        return NULL;
    cpu->apic_id = apic_id;
    add(cpu);
    if (cpu_stacks(cpu, true)) {
        cpu->state = CPU_LEFT_OUT;
        return NULL;
    }
    return cpu;
}

uint64_t cpu_xcr0_supported(void)
{
    if (!(cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE))
        return 0;
    uint64_t bits = cpuid(0xd, 0).eax & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
    if ((bits & XCR0_AVX512) != XCR0_AVX512 || !(bits & XCR0_AVX))
        bits &= ~XCR0_AVX512; /* all of it or none (SDM Vol. 1, 13.3) */
    return bits;
}

void cpu_protect(void)
{
    uint64_t cr4 = read_cr4();
    uint64_t xcr0 = cpu_xcr0_supported();
    if (cpuid(0, 0).eax >= 7) {
        uint32_t features = cpuid(7, 0).ebx;
        if (features & CPUID_7_EBX_SMEP)
            cr4 |= CR4_SMEP;
        if (features & CPUID_7_EBX_SMAP)
            cr4 |= CR4_SMAP;
    }
    if (cpuid(1, 0).edx & CPUID_1_EDX_MCE)
        cr4 |= CR4_MCE; /* without it a machine check resets the machine without a word */
    cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | (xcr0 ? CR4_OSXSAVE : 0);
    write_cr4(cr4);
    write_cr0((read_cr0() & ~(CR0_EM | CR0_TS | CR0_CD | CR0_NW)) | CR0_MP | CR0_WP | CR0_NE);
    if (xcr0)
        xsetbv(0, xcr0);
    if (cpuid(1, 0).edx & CPUID_1_EDX_PAT) /* no page has used entry 1 so far: nothing to flush */
        wrmsr(MSR_PAT, (rdmsr(MSR_PAT) & ~PAT_ENTRY_1) | PAT_ENTRY_1_WC);
}
