/* SPDX-License-Identifier: MIT */
/* CPUID as a guest sees it (SDM Vol. 2A): the processor's answer through an allow-list. What is not
 * named here is 0: VMX, SMX, SVM and SGX; MTRRs, machine check and performance monitoring, which
 * guests do not have; RDRAND and RDSEED, which exit. The local APIC is there on any processor. */
#include <atoll/abi.h>
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/vm/exits.h"

#define BASIC_MAX    0x16u
#define EXTENDED     0x80000000u
#define EXTENDED_MAX 0x80000008u

/* CPUID.1:ECX: SSE3 PCLMULQDQ SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C */
#define LEAF1_ECX (BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | \
                   BIT(22) | BIT(23) | BIT(25) | BIT(26) | BIT(28) | BIT(29))
/* CPUID.1:EDX: FPU VME DE PSE TSC MSR PAE CX8 SEP PGE CMOV PSE36 CLFSH MMX FXSR SSE SSE2 */
#define LEAF1_EDX (BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | \
                   BIT(11) | BIT(13) | BIT(15) | BIT(17) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | \
                   BIT(26))
#define LEAF1_ECX_OWN      (CPUID_1_ECX_HYPERVISOR | CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE)
#define LEAF1_EBX_CLFLUSH  0xff00u
#define LEAF1_ECX_AVX_BITS (BIT(12) | BIT(28) | BIT(29)) /* FMA AVX F16C */

/* CPUID.7.0:EBX: FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID ADX SMAP CLFLUSHOPT CLWB SHA */
#define LEAF7_EBX (BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(19) | \
                   BIT(20) | BIT(23) | BIT(24) | BIT(29))
/* AVX-512: F DQ IFMA CD BW VL */
#define LEAF7_EBX_AVX512 (BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31))
/* CPUID.7.0:ECX: UMIP GFNI VAES VPCLMULQDQ RDPID; AVX-512: VBMI VBMI2 VNNI BITALG VPOPCNTDQ */
#define LEAF7_ECX        (BIT(2) | BIT(8) | BIT(9) | BIT(10) | BIT(22))
#define LEAF7_ECX_AVX512 (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define LEAF6_EAX        BIT(2) /* the APIC's timer always runs */
#define LEAF7_EDX        BIT(4) /* fast short REP MOV */
#define LEAF7_EBX_AVX2   BIT(5)
#define LEAF7_EBX_INVPCID BIT(10)
#define LEAF7_ECX_RDPID  BIT(22)

#define LEAFD1_EAX (BIT(0) | BIT(1) | BIT(2)) /* XSAVEOPT XSAVEC XGETBV with ECX=1 */

/* CPUID.80000001H: LAHF LZCNT PREFETCHW; SYSCALL NX 1-GiB pages RDTSCP long mode */
#define LEAF81_ECX (BIT(0) | BIT(5) | BIT(8))
#define LEAF81_EDX (BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29))
#define LEAF87_EDX BIT(8) /* invariant TSC */

struct cpuid_same cpuid_same[CPUID_SAME_MAX + 1];

static struct cpuid leaf_1(const struct vcpu *vcpu, struct cpuid host)
{
    bool xsave = cpu_xcr0_supported() != 0;
    bool avx = cpu_xcr0_supported() & XCR0_AVX;
    struct cpuid r = {
        .eax = host.eax,
        .ebx = (host.ebx & LEAF1_EBX_CLFLUSH) | vcpu->vm->config.vcpus << 16 | vcpu->index << 24,
        .ecx = (host.ecx & LEAF1_ECX) | (uint32_t)LEAF1_ECX_OWN,
        .edx = (host.edx & LEAF1_EDX) | (uint32_t)CPUID_1_EDX_APIC,
    };
    if (!xsave)
        r.ecx &= ~(uint32_t)CPUID_1_ECX_XSAVE;
    if (!avx)
        r.ecx &= ~(uint32_t)LEAF1_ECX_AVX_BITS;
    if (xsave && (vcpu->vmx.cr4 & CR4_OSXSAVE))
        r.ecx |= CPUID_1_ECX_OSXSAVE;
    return r;
}

static struct cpuid leaf_7(uint32_t subleaf, struct cpuid host)
{
    uint64_t xcr0 = cpu_xcr0_supported();
    struct cpuid r = {0};
    if (subleaf != 0)
        return r;
    bool avx512 = (xcr0 & XCR0_AVX512) == XCR0_AVX512;
    r.ebx = host.ebx & (LEAF7_EBX | (avx512 ? LEAF7_EBX_AVX512 : 0));
    r.ecx = host.ecx & (LEAF7_ECX | (avx512 ? LEAF7_ECX_AVX512 : 0));
    r.edx = host.edx & LEAF7_EDX;
    if (!(xcr0 & XCR0_AVX))
        r.ebx &= ~(uint32_t)LEAF7_EBX_AVX2;
    if (!vmx_features_of_all()->invpcid)
        r.ebx &= ~(uint32_t)LEAF7_EBX_INVPCID;
    if (!vmx_features_of_all()->rdtscp)
        r.ecx &= ~(uint32_t)LEAF7_ECX_RDPID;
    return r;
}

/* One core, `vcpus` of them in the package: SMT level, then core level. */
static struct cpuid leaf_b(const struct vcpu *vcpu, uint32_t subleaf)
{
    struct cpuid r = {.ecx = subleaf & 0xff, .edx = vcpu->index};
    if (subleaf == 0) {
        r.ebx = 1;
        r.ecx |= 1 << 8;
    } else if (subleaf == 1) {
        r.ebx = vcpu->vm->config.vcpus;
        r.ecx |= 2 << 8;
        while (BIT(r.eax) < vcpu->vm->config.vcpus)
            r.eax++;
    }
    return r;
}

static uint32_t xsave_size(uint64_t xcr0)
{
    uint32_t size = 512 + 64; /* legacy area and header */
    for (uint32_t bit = 2; bit < 32; bit++) {
        if (!(xcr0 >> bit & 1))
            continue;
        struct cpuid component = cpuid(0xd, bit);
        size = MAX(size, component.ebx + component.eax);
    }
    return size;
}

static struct cpuid leaf_d(const struct vcpu *vcpu, uint32_t subleaf, struct cpuid host)
{
    uint64_t xcr0 = cpu_xcr0_supported();
    struct cpuid none = {0};
    if (!xcr0)
        return none;
    if (subleaf == 0)
        return (struct cpuid){.eax = (uint32_t)xcr0, .ebx = xsave_size(vcpu->vmx.xcr0),
                              .ecx = xsave_size(xcr0)};
    if (subleaf == 1)
        return (struct cpuid){.eax = host.eax & LEAFD1_EAX, .ebx = host.ebx};
    return subleaf < 32 && (xcr0 >> subleaf & 1) ? host : none;
}

static struct cpuid leaf_81(struct cpuid host)
{
    struct cpuid r = {.ecx = host.ecx & LEAF81_ECX, .edx = host.edx & LEAF81_EDX};
    if (!vmx_features_of_all()->rdtscp)
        r.edx &= ~(uint32_t)CPUID_81_EDX_RDTSCP;
    return r;
}

static struct cpuid leaf_15(void)
{
    uint32_t factor = time_tsc_per_crystal();
    return (struct cpuid){.eax = 1, .ebx = factor, .ecx = (uint32_t)(time_tsc_hz() / factor)};
}

static struct cpuid leaf_atoll(const struct vcpu *vcpu, uint32_t leaf)
{
    struct cpuid r = {0};
    if (leaf == ATOLL_CPUID_BASE) {
        static const char signature[13] = ATOLL_SIGNATURE;
        r.eax = ATOLL_CPUID_MAX;
        memcpy(&r.ebx, signature, 4);
        memcpy(&r.ecx, signature + 4, 4);
        memcpy(&r.edx, signature + 8, 4);
    } else if (leaf == ATOLL_CPUID_INFO) {
        r = (struct cpuid){ATOLL_ABI_VERSION, vcpu->vm->id, vcpu->index, vcpu->vm->config.vcpus};
    } else if (leaf == ATOLL_CPUID_FEATURES) {
        r.eax = (vmx_features_of_all()->unrestricted_guest ? ATOLL_FEATURE_INIT_SIPI : 0) |
                (vmx_apicv() ? ATOLL_FEATURE_APICV : 0);
    }
    return r;
}

static struct cpuid filter(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid none = {0};
    uint32_t first = leaf & EXTENDED;
    if (leaf >= ATOLL_CPUID_BASE && leaf < ATOLL_CPUID_BASE + 0x100)
        return leaf_atoll(vcpu, leaf);
    uint32_t max = MIN(cpuid(first, 0).eax, first ? EXTENDED_MAX : BASIC_MAX);
    bool own = leaf == 0x15 || leaf == 0x16; /* answered whether the processor has them or not */
    if (leaf > max && !own)
        return none;
    struct cpuid host = cpuid(leaf, subleaf);
    switch (leaf) {
    case 0:
        host.eax = BASIC_MAX;
        return host;
    case 1:
        return leaf_1(vcpu, host);
    case 2:
        return host;
    case 4: /* caches, shared with no one */
        host.eax &= 0x3fff;
        return host;
    case 6:
        return (struct cpuid){.eax = LEAF6_EAX};
    case 7:
        return leaf_7(subleaf, host);
    case 0xb:
        return leaf_b(vcpu, subleaf);
    case 0xd:
        return leaf_d(vcpu, subleaf, host);
    case 0x15:
        return leaf_15();
    case 0x16:
        return (struct cpuid){.eax = (uint32_t)(time_tsc_hz() / 1000000),
                              .ebx = (uint32_t)(time_tsc_hz() / 1000000)};
    case 0x80000000:
        return (struct cpuid){.eax = max};
    case 0x80000001:
        return leaf_81(host);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: /* brand string */
    case 0x80000006:
        return host;
    case 0x80000007:
        return (struct cpuid){.edx = host.edx & LEAF87_EDX};
    case 0x80000008:
        return (struct cpuid){.eax = host.eax & 0xffff};
    default:
        return none;
    }
}

void cpuid_handle(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->vmx.gpr;
    struct cpuid r = filter(vcpu, (uint32_t)gpr[VMX_RAX], (uint32_t)gpr[VMX_RCX]);
    gpr[VMX_RAX] = r.eax;
    gpr[VMX_RBX] = r.ebx;
    gpr[VMX_RCX] = r.ecx;
    gpr[VMX_RDX] = r.edx;
}

void cpuid_init(void)
{
    static const uint8_t leaves[] = {0, 2, 3, 5, 6, 8, 9, 0xa, 0xc, 0xe, 0x15, 0x16};
    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct cpuid r = filter(NULL, leaves[i], 0);
        cpuid_same[leaves[i]] = (struct cpuid_same){r.eax, r.ebx, r.ecx, r.edx, true};
    }
}
