/* SPDX-License-Identifier: MIT */
/* Processor instructions that C has no words for, one function each. */
#ifndef KERNEL_LIB_X86_H
#define KERNEL_LIB_X86_H

#include "kernel/lib/types.h"

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* The low half: enough for a span below 2^32. */
static inline uint32_t rdtsc_low(void)
{
    uint32_t low;
    __asm__ volatile("rdtsc" : "=a"(low) : : "edx");
    return low;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

/* Bytes to one port, one after the other. */
static inline void outb_all(uint16_t port, const void *bytes, size_t size)
{
    __asm__ volatile("rep outsb" : "+S"(bytes), "+c"(size) : "d"(port) : "memory");
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

#define X86_CONTROL_REGISTER(name)                                         \
    static inline uint64_t read_##name(void)                               \
    {                                                                      \
        uint64_t value;                                                    \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory"); \
        return value;                                                      \
    }                                                                      \
    static inline void write_##name(uint64_t value)                        \
    {                                                                      \
        __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");     \
    }

X86_CONTROL_REGISTER(cr0)
X86_CONTROL_REGISTER(cr2)
X86_CONTROL_REGISTER(cr3)
X86_CONTROL_REGISTER(cr4)
X86_CONTROL_REGISTER(dr0)
X86_CONTROL_REGISTER(dr1)
X86_CONTROL_REGISTER(dr2)
X86_CONTROL_REGISTER(dr3)
X86_CONTROL_REGISTER(dr6)
#undef X86_CONTROL_REGISTER

static inline void xsetbv(uint32_t index, uint64_t value)
{
    __asm__ volatile("xsetbv"
                     :
                     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline void invlpg(const void *address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* What was written before is out, from write-combining memory too. */
static inline void store_fence(void)
{
    __asm__ volatile("sfence" : : : "memory");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* Interrupts on, wait for one, interrupts off. STI's shadow lasts until HLT: none is lost. */
static inline void wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* Stops this processor for good: an NMI does not make it go on. */
static inline _Noreturn void halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static inline void cpu_pause(void)
{
    __builtin_ia32_pause();
}

/* The first words of each CPU's block, at GS base: which CPU is this? (kernel/cpu/cpu.h) */
static inline uint32_t cpu_index(void)
{
    uint32_t index;
    __asm__("movl %%gs:8, %0" : "=r"(index));
    return index;
}

#endif
