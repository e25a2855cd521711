/* SPDX-License-Identifier: MIT */
/* Instructions that C has no word for: CPUID, MSRs, ports, control registers (SDM Vol. 2). The bits
 * of control registers and RFLAGS are those of asm/processor-flags.h. */
#ifndef GUESTS_LIB_CPU_H
#define GUESTS_LIB_CPU_H

#include <asm/processor-flags.h>
#include <stdbool.h>
#include <stdint.h>

/* A CPUID feature: leaf, subleaf, register (0 EAX to 3 EDX), bit. */
struct cpuid_feature {
    uint32_t leaf, subleaf;
    uint8_t reg, bit;
};

#define CPUID_MONITOR ((struct cpuid_feature){0x1, 0, 2, 3})
#define CPUID_VMX     ((struct cpuid_feature){0x1, 0, 2, 5})
#define CPUID_SMX     ((struct cpuid_feature){0x1, 0, 2, 6})
#define CPUID_X2APIC  ((struct cpuid_feature){0x1, 0, 2, 21})
#define CPUID_DEADLINE ((struct cpuid_feature){0x1, 0, 2, 24})
#define CPUID_XSAVE   ((struct cpuid_feature){0x1, 0, 2, 26})
#define CPUID_AVX     ((struct cpuid_feature){0x1, 0, 2, 28})
#define CPUID_RDRAND  ((struct cpuid_feature){0x1, 0, 2, 30})
#define CPUID_GUEST   ((struct cpuid_feature){0x1, 0, 2, 31})
#define CPUID_SGX     ((struct cpuid_feature){0x7, 0, 1, 2})
#define CPUID_INVPCID ((struct cpuid_feature){0x7, 0, 1, 10})
#define CPUID_RDSEED  ((struct cpuid_feature){0x7, 0, 1, 18})
#define CPUID_WAITPKG ((struct cpuid_feature){0x7, 0, 2, 5})
#define CPUID_XSAVES  ((struct cpuid_feature){0xd, 1, 0, 3})
#define CPUID_SVM     ((struct cpuid_feature){0x80000001, 0, 2, 2})
#define CPUID_RDTSCP  ((struct cpuid_feature){0x80000001, 0, 3, 27})

#define MSR_FEATURE_CONTROL 0x3au
#define MSR_VMX_BASIC       0x480u
#define MSR_EFER            0xc0000080u
#define MSR_LSTAR           0xc0000082u
#define MSR_FS_BASE         0xc0000100u
#define MSR_GS_BASE         0xc0000101u
#define MSR_KERNEL_GS_BASE  0xc0000102u

#define EFER_SCE (1u << 0)
#define EFER_NXE (1u << 11)

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

/* A leaf above the highest answers with the values of another leaf: that is no feature. */
static inline bool cpu_has(struct cpuid_feature feature)
{
    if (feature.leaf > cpuid(feature.leaf & 0xf0000000u, 0).eax)
        return false;
    struct cpuid r = cpuid(feature.leaf, feature.subleaf);
    uint32_t value[4] = {r.eax, r.ebx, r.ecx, r.edx};
    return value[feature.reg] >> feature.bit & 1;
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

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

#define CONTROL_REGISTER(name)                                                                     \
    static inline uint64_t read_##name(void)                                                       \
    {                                                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value));                                     \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_##name(uint64_t value)                                                \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                            \
    }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(cr8)
CONTROL_REGISTER(dr0)
CONTROL_REGISTER(dr6)
CONTROL_REGISTER(dr7)

static inline void interrupts_on(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* RFLAGS as it was, for interrupts_restore; interrupts are off behind it. */
static inline uint64_t interrupts_save(void)
{
    uint64_t flags;
    __asm__ volatile("pushf\n"
                     "pop %0\n"
                     "cli"
                     : "=r"(flags)
                     :
                     : "memory");
    return flags;
}

static inline void interrupts_restore(uint64_t flags)
{
    if (flags & X86_EFLAGS_IF)
        interrupts_on();
}

static inline void halt(void)
{
    __asm__ volatile("hlt" : : : "memory");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

#endif
