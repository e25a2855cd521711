/* SPDX-License-Identifier: MIT */
/* A01: CPUID over all leaves. Expected: nothing that Atoll hides, the same answer each time. */
#include "tests/hostile/hostile.h"

static void ask(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid first = cpuid(leaf, subleaf), second = cpuid(leaf, subleaf);

    expect(memcmp(&first, &second, sizeof(first)) == 0, "leaf 0x%x.%u changes", leaf, subleaf);
    look((uint64_t)first.ebx << 32 | first.eax);
    look((uint64_t)first.edx << 32 | first.ecx);
}

CASE(a01)
{
    static const struct cpuid_feature hidden[] = {
        CPUID_VMX, CPUID_SMX, CPUID_SVM, CPUID_SGX, CPUID_RDRAND, CPUID_RDSEED, CPUID_MONITOR,
        CPUID_WAITPKG, CPUID_XSAVES};
    static const uint32_t first[] = {0, 0x40000000, 0x80000000};
    uint64_t cr4 = read_cr4();

    for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
        for (uint32_t leaf = first[i]; leaf <= first[i] + 0x24; leaf++)
            for (uint32_t subleaf = 0; subleaf < 34; subleaf++)
                ask(leaf, subleaf);
    }
    ask(UINT32_MAX, UINT32_MAX);
    ask(0x7fffffff, 0);
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
        expect(!cpu_has(hidden[i]), "hidden feature %zu shows", i);
    expect(cpu_has(CPUID_GUEST), "the hypervisor bit is not set");
    expect(cpuid(1, 0).ebx >> 24 == apic_id(), "the APIC id is not the vCPU's");
    if (cpu_has(CPUID_XSAVE)) {
        write_cr4(cr4 | X86_CR4_OSXSAVE);
        expect(cpuid(1, 0).ecx & BIT(27), "OSXSAVE does not follow CR4");
        write_cr4(cr4 & ~(uint64_t)X86_CR4_OSXSAVE);
        expect(!(cpuid(1, 0).ecx & BIT(27)), "OSXSAVE stays without CR4");
    }
}
