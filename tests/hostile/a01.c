/* SPDX-License-Identifier: MIT */
/* A01: CPUID over all leaves and subleaves, then again on another core. Expected: nothing that
 * Atoll hides, and the same answers. */
#include "tests/hostile/hostile.h"

#define LEAVES    0x25u
#define SUBLEAVES 34u  /* then those of a single bit, and -1 */
#define ASKED     (3 * LEAVES * (SUBLEAVES + 27))

static struct cpuid *answers;
static size_t asked;
static bool again;

static void ask(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid answer = cpuid(leaf, subleaf);

    if (!again)
        answers[asked] = answer;
    expect(memcmp(&answers[asked], &answer, sizeof(answer)) == 0, "leaf 0x%x.%x changes", leaf,
           subleaf);
    asked++;
    look((uint64_t)answer.ebx << 32 | answer.eax);
    look((uint64_t)answer.edx << 32 | answer.ecx);
}

static void ask_all(void)
{
    static const uint32_t first[] = {0, 0x40000000, 0x80000000};

    asked = 0;
    for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
        for (uint32_t leaf = first[i]; leaf < first[i] + LEAVES; leaf++) {
            for (uint32_t subleaf = 0; subleaf < SUBLEAVES; subleaf++)
                ask(leaf, subleaf);
            for (unsigned bit = 6; bit < 32; bit++)
                ask(leaf, (uint32_t)BIT(bit));
            ask(leaf, UINT32_MAX);
        }
    }
    ask(UINT32_MAX, UINT32_MAX);
    ask(0x7fffffff, 0);
}

static uint32_t core(void)
{
    struct atoll_vm_info info;

    return atoll_vm_info(&info) == sizeof(info) ? info.physical_cpu : UINT32_MAX;
}

CASE(a01)
{
    static const struct cpuid_feature hidden[] = {
        CPUID_VMX, CPUID_SMX, CPUID_SVM, CPUID_SGX, CPUID_RDRAND, CPUID_RDSEED, CPUID_MONITOR,
        CPUID_WAITPKG, CPUID_XSAVES};
    uint64_t cr4 = read_cr4(), end = now_ns() + 300000000;
    uint32_t first = core();

    answers = pages_alloc((ASKED + 2) * sizeof(*answers) / PAGE_SIZE + 1);
    ask_all();
    while (core() == first && now_ns() < end)
        atoll_yield();
    expect(core() != first, "it stays on one core");
    again = true;
    ask_all();
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
