/* SPDX-License-Identifier: MIT */
/* Names of architectural bits and MSRs: SDM Vol. 3A chapter 2 (control registers), Vol. 4 (MSRs),
 * Vol. 2A CPUID. */
#ifndef KERNEL_LIB_X86_BITS_H
#define KERNEL_LIB_X86_BITS_H

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)
#define CR4_CET        BIT(23)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_DEFINED (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

#define RFLAGS_FIXED BIT(1)
#define RFLAGS_TF    BIT(8)
#define RFLAGS_IF    BIT(9)
#define RFLAGS_VM    BIT(17)

/* Paging-structure entries (SDM Vol. 3A, 4.3 to 4.5). */
#define PTE_PRESENT    BIT(0)
#define PTE_WRITABLE   BIT(1)
#define PTE_LARGE      BIT(7) /* PS, of a PDPTE or PDE: it maps a page */
#define PTE_ADDRESS    0x000ffffffffff000ull
#define PTE_NX         BIT(63)
#define PDPTE_RESERVED 0x1e6ull /* with PAE paging: bits 8:5 and 2:1 (table 4-8) */

#define INSTRUCTION_MAX 15 /* bytes: a longer one is #GP */

#define XCR0_X87       BIT(0)
#define XCR0_SSE       BIT(1)
#define XCR0_AVX       BIT(2)
#define XCR0_OPMASK    BIT(5)
#define XCR0_ZMM_HIGH  BIT(6)
#define XCR0_ZMM16     BIT(7)
#define XCR0_AVX512    (XCR0_OPMASK | XCR0_ZMM_HIGH | XCR0_ZMM16)

#define MSR_TSC                 0x10
#define MSR_APIC_BASE           0x1b
#define MSR_FEATURE_CONTROL     0x3a
#define MSR_SYSENTER_CS         0x174
#define MSR_SYSENTER_ESP        0x175
#define MSR_SYSENTER_EIP        0x176
#define MSR_PAT                 0x277
#define MSR_VMX_BASIC           0x480
#define MSR_VMX_PINBASED        0x481
#define MSR_VMX_PROCBASED       0x482
#define MSR_VMX_EXIT            0x483
#define MSR_VMX_ENTRY           0x484
#define MSR_VMX_MISC            0x485
#define MSR_VMX_CR0_FIXED0      0x486
#define MSR_VMX_CR0_FIXED1      0x487
#define MSR_VMX_CR4_FIXED0      0x488
#define MSR_VMX_CR4_FIXED1      0x489
#define MSR_VMX_PROCBASED2      0x48b
#define MSR_VMX_EPT_VPID_CAP    0x48c
#define MSR_VMX_TRUE_PINBASED   0x48d
#define MSR_VMX_TRUE_PROCBASED  0x48e
#define MSR_VMX_TRUE_EXIT       0x48f
#define MSR_VMX_TRUE_ENTRY      0x490
#define MSR_TSC_DEADLINE        0x6e0
#define MSR_X2APIC              0x800 /* + the register's offset >> 4 */
#define MSR_SELF_IPI            0x83f
#define MSR_EFER                0xc0000080
#define MSR_STAR                0xc0000081
#define MSR_LSTAR               0xc0000082
#define MSR_CSTAR               0xc0000083
#define MSR_FMASK               0xc0000084
#define MSR_FS_BASE             0xc0000100
#define MSR_GS_BASE             0xc0000101
#define MSR_KERNEL_GS_BASE      0xc0000102
#define MSR_TSC_AUX             0xc0000103

#define FEATURE_CONTROL_LOCK        BIT(0)
#define FEATURE_CONTROL_VMX_OUTSIDE BIT(2) /* VMXON outside SMX operation */

#define CPUID_1_ECX_VMX          BIT(5)
#define CPUID_1_ECX_X2APIC       BIT(21)
#define CPUID_1_ECX_TSC_DEADLINE BIT(24)
#define CPUID_1_ECX_XSAVE        BIT(26)
#define CPUID_1_ECX_OSXSAVE      BIT(27)
#define CPUID_1_ECX_HYPERVISOR   BIT(31)
#define CPUID_1_EDX_MCE          BIT(7)
#define CPUID_1_EDX_APIC         BIT(9)
#define CPUID_1_EDX_PAT          BIT(16)
#define CPUID_7_EBX_SMEP         BIT(7)
#define CPUID_7_EBX_SMAP         BIT(20)
#define CPUID_81_EDX_1G          BIT(26)
#define CPUID_81_EDX_RDTSCP      BIT(27)

enum exception_vector { /* SDM Vol. 3A, table 6-1: those that Atoll treats one by one */
    EXCEPTION_DB = 1, EXCEPTION_NMI = 2, EXCEPTION_UD = 6, EXCEPTION_DF = 8, EXCEPTION_TS = 10,
    EXCEPTION_NP = 11, EXCEPTION_SS = 12, EXCEPTION_GP = 13, EXCEPTION_PF = 14, EXCEPTION_AC = 17,
    EXCEPTION_MC = 18, EXCEPTION_CP = 21,
};

#endif
