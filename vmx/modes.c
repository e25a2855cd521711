/* SPDX-License-Identifier: MIT */
/* Guest modes. The guest's view is kept in struct vmx_vcpu; the real registers are computed from it
 * in one place, modes_write. VMX fixes some bits of CR0 and CR4 (SDM 23.8): the read shadows hide
 * that. Without "unrestricted guest" PE and PG are fixed too: unpaged code then runs on an identity
 * map of 4 GiB, and the shadow says that paging is off. */
#include "vmx/modes.h"

#include <linux/errno.h>

#include "kernel/cpu/cpu.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "vmx/processor.h"
#include "vmx/vmcs.h"

#define CR0_DEFINED    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | \
                        CR0_NW | CR0_CD | CR0_PG)
#define CR0_CACHE      (CR0_CD | CR0_NW) /* never given to the processor: all cores share memory */
#define CR0_LMSW       (CR0_PE | CR0_MP | CR0_EM | CR0_TS)
#define CR4_FLUSHING   (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)
#define CR3_NO_FLUSH   BIT(63)
#define CR3_PCID       0xfffull
#define IDENTITY_ENTRY 0xe7u /* 4 MiB, present, writable, user, accessed, dirty */

static uint32_t *identity_map; /* NULL: nobody has needed it */

const void *modes_identity_map(void)
{
    static struct spinlock lock;
    spin_lock(&lock);
    if (!identity_map) {
        identity_map = page_alloc();
        for (uint32_t i = 0; identity_map && i < PAGE_SIZE / sizeof *identity_map; i++)
            identity_map[i] = i << 22 | IDENTITY_ENTRY; /* A and D are set: the walk never writes */
    }
    spin_unlock(&lock);
    return identity_map;
}

bool vmx_identity_map(gpa_t *guest, hpa_t *host)
{
    *guest = GPA(IDENTITY_MAP_GPA);
    *host = identity_map ? virt_to_phys(identity_map) : HPA(0);
    return identity_map;
}

static bool paging(const struct vmx_vcpu *v)
{
    return v->cr0 & CR0_PG;
}

static bool on_identity_map(const struct vmx_vcpu *v)
{
    return !v->unrestricted && !paging(v);
}

/* CR0 bits whose writes exit and whose reads come from the shadow. */
static uint64_t cr0_mask(const struct vmx_vcpu *v)
{
    return CR0_NE | CR0_CACHE | (v->unrestricted ? 0 : CR0_PE | CR0_PG);
}

/* CR4 bits that a guest may set on this machine. */
static uint64_t cr4_allowed(void)
{
    uint64_t allowed = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE |
                       CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE |
                       CR4_PCIDE | CR4_SMEP | CR4_SMAP;
    if (cpu_xcr0_supported())
        allowed |= CR4_OSXSAVE;
    return allowed & vmx_common.cr4_fixed1;
}

void modes_write(struct vmx_vcpu *v)
{
    bool identity = on_identity_map(v);
    bool long_mode = paging(v) && (v->efer & EFER_LME);
    uint64_t cr0 = (v->cr0 & ~CR0_CACHE) | CR0_NE | CR0_ET;
    uint64_t cr4 = v->cr4 | CR4_VMXE | (read_cr4() & CR4_MCE); /* machine checks are the host's */
    uint64_t efer = v->efer;

    if (!v->unrestricted)
        cr0 |= CR0_PE | CR0_PG;
    if (identity) {
        cr4 = (cr4 & ~(CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)) | CR4_PSE;
        efer &= ~EFER_LME; /* entry checks: LME must equal LMA while PG is set (SDM 26.3.1.1) */
    }
    v->efer = (v->efer & ~EFER_LMA) | (long_mode ? EFER_LMA : 0);
    efer = (efer & ~EFER_LMA) | (long_mode ? EFER_LMA : 0);

    vmcs_writen(VMCS_GUEST_CR0, cr0);
    vmcs_writen(VMCS_CR0_SHADOW, v->cr0);
    vmcs_writen(VMCS_CR0_MASK, cr0_mask(v));
    vmcs_writen(VMCS_GUEST_CR4, cr4);
    vmcs_writen(VMCS_CR4_SHADOW, v->cr4);
    vmcs_writen(VMCS_CR4_MASK, ~0ull); /* every write of CR4 that changes a bit exits */
    vmcs_writen(VMCS_GUEST_CR3, identity ? IDENTITY_MAP_GPA : v->cr3);
    vmcs_write64(VMCS_GUEST_EFER, efer);

    uint32_t entry = vmcs_read32(VMCS_ENTRY_CONTROLS) & ~(uint32_t)ENTRYC_IA32E_GUEST;
    vmcs_write32(VMCS_ENTRY_CONTROLS, entry | (long_mode ? ENTRYC_IA32E_GUEST : 0));

    /* While the identity map stands in for CR3, the guest's own accesses to CR3 must exit. */
    const uint32_t cr3_exits = PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING;
    uint32_t forced = (uint32_t)vmx_common.controls[VMX_PROCESSOR] & cr3_exits;
    uint32_t controls = vmcs_read32(VMCS_PROCESSOR_CONTROLS) & ~cr3_exits;
    vmcs_write32(VMCS_PROCESSOR_CONTROLS, controls | (identity ? cr3_exits : forced));
}

/* Reads back what the guest may have changed without an exit. */
static void modes_read(struct vmx_vcpu *v)
{
    uint64_t mask = cr0_mask(v);
    v->cr0 = (vmcs_readn(VMCS_GUEST_CR0) & ~mask) | (vmcs_readn(VMCS_CR0_SHADOW) & mask);
    if (v->unrestricted)
        v->efer = vmcs_read64(VMCS_GUEST_EFER); /* LMA changes with a native write of CR0.PG */
    if (!on_identity_map(v))
        v->cr3 = vmcs_readn(VMCS_GUEST_CR3);
}

/* With PAE paging the four PDPTEs are registers, loaded from memory (SDM Vol. 3A, 4.4.1). */
static int load_pdptes(struct vmx_vcpu *v)
{
    static const enum vmcs_field64 fields[] = {VMCS_GUEST_PDPTE0, VMCS_GUEST_PDPTE1,
                                               VMCS_GUEST_PDPTE2, VMCS_GUEST_PDPTE3};
    struct ept_leaf leaf;
    if (ept_walk(v->ept, GPA(v->cr3 & 0xffffffe0ull), &leaf) || !(leaf.access & EPT_READ))
        return -EINVAL;
    const uint64_t *table = phys_to_virt(leaf.address);
    uint64_t reserved = PDPTE_RESERVED | ~(BIT(vmx_common.physical_address_bits) - 1);
    uint64_t copy[ARRAY_SIZE(fields)]; /* read once: the guest may write meanwhile */
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        copy[i] = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
        if ((copy[i] & PTE_PRESENT) && (copy[i] & reserved))
            return -EINVAL;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
        vmcs_write64(fields[i], copy[i]);
    return 0;
}

static bool pae_paging(const struct vmx_vcpu *v)
{
    return paging(v) && (v->cr4 & CR4_PAE) && !(v->efer & EFER_LME);
}

/* The rules of MOV to CR0 (SDM Vol. 2B, MOV to/from Control Registers). */
static int check_cr0(const struct vmx_vcpu *v, uint64_t value)
{
    if (value >> 32)
        return -EINVAL;
    if ((value & CR0_PG) && !(value & CR0_PE))
        return -EINVAL;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return -EINVAL;
    bool was = paging(v), is = value & CR0_PG;
    bool cs_long = vmcs_read32(VMCS_GUEST_CS_ACCESS) & ACCESS_L;
    bool tss_32bit = ACCESS_TYPE(vmcs_read32(VMCS_GUEST_TR_ACCESS)) == ACCESS_TYPE_TSS_BUSY;
    if (is && !was && (v->efer & EFER_LME) && (!(v->cr4 & CR4_PAE) || cs_long || !tss_32bit))
        return -EINVAL;
    if (was && !is && ((v->efer & EFER_LMA) && cs_long))
        return -EINVAL;
    if (was && !is && (v->cr4 & CR4_PCIDE))
        return -EINVAL;
    if (!(value & CR0_PE) && !v->unrestricted)
        return -EOPNOTSUPP;
    return 0;
}

static int set_cr0(struct vmx_vcpu *v, uint64_t value)
{
    int error = check_cr0(v, value);
    if (error)
        return error;
    uint64_t old = v->cr0;
    v->cr0 = (value & CR0_DEFINED) | CR0_ET;
    if (pae_paging(v) && ((old ^ v->cr0) & (CR0_PG | CR0_CACHE)) && load_pdptes(v)) {
        v->cr0 = old;
        return -EINVAL;
    }
    if ((old ^ v->cr0) & (CR0_PG | CR0_WP))
        v->flush = true;
    modes_write(v);
    return 0;
}

static int set_cr3(struct vmx_vcpu *v, uint64_t value)
{
    if (v->cr4 & CR4_PCIDE)
        value &= ~CR3_NO_FLUSH;
    if ((v->efer & EFER_LMA) && value >> vmx_common.physical_address_bits)
        return -EINVAL;
    uint64_t old = v->cr3;
    v->cr3 = v->efer & EFER_LMA ? value : (uint32_t)value;
    if (pae_paging(v) && load_pdptes(v)) {
        v->cr3 = old;
        return -EINVAL;
    }
    v->flush = true;
    if (!on_identity_map(v))
        vmcs_writen(VMCS_GUEST_CR3, v->cr3);
    return 0;
}

static int set_cr4(struct vmx_vcpu *v, uint64_t value)
{
    if (value & ~cr4_allowed())
        return -EINVAL;
    bool long_mode = v->efer & EFER_LMA;
    if (long_mode && !(value & CR4_PAE))
        return -EINVAL;
    if ((value & CR4_PCIDE) && !(v->cr4 & CR4_PCIDE) && (!long_mode || (v->cr3 & CR3_PCID)))
        return -EINVAL;
    uint64_t old = v->cr4;
    v->cr4 = value;
    if (pae_paging(v) && ((old ^ value) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
        load_pdptes(v)) {
        v->cr4 = old;
        return -EINVAL;
    }
    if ((old ^ value) & CR4_FLUSHING)
        v->flush = true;
    modes_write(v);
    return 0;
}

static int set_cr8(struct vmx_vcpu *v, uint64_t value)
{
    if (value & ~0xfull)
        return -EINVAL;
    v->cr8 = value;
    return 0;
}

static uint64_t gpr_read(const struct vmx_vcpu *v, enum vmx_register r)
{
    return r == VMX_RSP ? vmcs_readn(VMCS_GUEST_RSP) : v->gpr[r];
}

static void gpr_write(struct vmx_vcpu *v, enum vmx_register r, uint64_t value)
{
    if (r == VMX_RSP)
        vmcs_writen(VMCS_GUEST_RSP, value);
    else
        v->gpr[r] = value;
}

static int mov_to(struct vmx_vcpu *v, const struct vmx_cr_access *access)
{
    uint64_t value = gpr_read(v, access->gpr);
    if (!vmx_in_64bit_mode(v))
        value = (uint32_t)value;
    switch (access->cr) {
    case 0:
        return set_cr0(v, value);
    case 3:
        return set_cr3(v, value);
    case 4:
        return set_cr4(v, value);
    default:
        return set_cr8(v, value);
    }
}

int vmx_cr_access(struct vmx_vcpu *v, const struct vm_exit *exit)
{
    struct vmx_cr_access access = vmx_exit_cr_access(exit->qualification);
    modes_read(v);
    switch (access.type) {
    case CR_MOV_TO:
        return mov_to(v, &access);
    case CR_MOV_FROM: /* of CR3 and CR8 only: CR0 and CR4 are read from the shadows */
        gpr_write(v, access.gpr, access.cr == 8 ? v->cr8 : v->cr3);
        return 0;
    case CR_CLTS:
        return set_cr0(v, v->cr0 & ~CR0_TS);
    case CR_LMSW: /* sets PE, never clears it */
        return set_cr0(v, (v->cr0 & (~CR0_LMSW | CR0_PE)) | (access.lmsw_source & CR0_LMSW));
    }
    return -EINVAL;
}

int vmx_write_efer(struct vmx_vcpu *v, uint64_t value)
{
    modes_read(v);
    if (value & ~EFER_DEFINED)
        return -EINVAL;
    if (paging(v) && ((value ^ v->efer) & EFER_LME))
        return -EINVAL;
    v->efer = (value & ~EFER_LMA) | (v->efer & EFER_LMA);
    v->flush = true; /* NXE */
    modes_write(v);
    return 0;
}

int vmx_write_xcr0(struct vmx_vcpu *v, uint64_t value, uint64_t supported)
{
    if (!(value & XCR0_X87) || (value & ~supported))
        return -EINVAL;
    if ((value & XCR0_AVX) && !(value & XCR0_SSE))
        return -EINVAL;
    if ((value & XCR0_AVX512) && ((value & XCR0_AVX512) != XCR0_AVX512 || !(value & XCR0_AVX)))
        return -EINVAL;
    v->xcr0 = value;
    xsetbv(0, value);
    return 0;
}
