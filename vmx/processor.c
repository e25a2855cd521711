/* SPDX-License-Identifier: MIT */
/* One processor into VMX root operation and out of it, in the order of SDM 23.6 to 23.8 and 31.5.
 * INIT is blocked from VMXON on (SDM 23.8): until VMXOFF no one resets this processor by IPI. */
#include "vmx/processor.h"

#include <linux/errno.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "vmx/vmcs.h"

#define HAS_SECONDARY    BIT(63) /* allowed-1 of "activate secondary controls" */
#define SEC_ALLOWED(bit) ((uint64_t)(bit) << 32)
#define A20_PORT         0x92
#define A20_GATE         BIT(1)
#define A20_RESET        BIT(0)

struct vmx_capabilities vmx_common;
struct vmx_features vmx_common_features;
static bool apicv_wanted = true;
static bool common_valid;
static struct spinlock common_lock;
static void *vmxon_regions[CPUS_MAX]; /* NULL: this processor is not in VMX operation */

void vmx_capabilities_read(struct vmx_capabilities *c)
{
    *c = (struct vmx_capabilities){.basic = rdmsr(MSR_VMX_BASIC)};
    bool has_true = c->basic & BASIC_TRUE_CONTROLS;
    c->controls[VMX_PIN] = rdmsr(has_true ? MSR_VMX_TRUE_PINBASED : MSR_VMX_PINBASED);
    c->controls[VMX_PROCESSOR] = rdmsr(has_true ? MSR_VMX_TRUE_PROCBASED : MSR_VMX_PROCBASED);
    c->controls[VMX_EXIT] = rdmsr(has_true ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT);
    c->controls[VMX_ENTRY] = rdmsr(has_true ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY);
    if (c->controls[VMX_PROCESSOR] & HAS_SECONDARY)
        c->controls[VMX_SECONDARY] = rdmsr(MSR_VMX_PROCBASED2);
    if (c->controls[VMX_SECONDARY] & SEC_ALLOWED(SEC_EPT | SEC_VPID))
        c->ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
    c->misc = rdmsr(MSR_VMX_MISC);
    c->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
    c->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
    c->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
    c->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
    c->physical_address_bits = (uint8_t)cpuid(0x80000008, 0).eax;
}

bool vmx_supported(void)
{
    return cpuid(1, 0).ecx & CPUID_1_ECX_VMX;
}

int vmx_feature_control(char error[VMX_ERROR_MAX])
{
    uint64_t value;
    if (!rdmsr_safe(MSR_FEATURE_CONTROL, &value)) {
        snprintf(error, VMX_ERROR_MAX, "IA32_FEATURE_CONTROL (MSR 0x3a) cannot be read");
        return -EPERM;
    }
    if (!(value & FEATURE_CONTROL_LOCK)) {
        value |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE;
        if (!wrmsr_safe(MSR_FEATURE_CONTROL, value)) {
            snprintf(error, VMX_ERROR_MAX, "IA32_FEATURE_CONTROL (MSR 0x3a) cannot be written");
            return -EPERM;
        }
    }
    if (!(value & FEATURE_CONTROL_VMX_OUTSIDE)) {
        snprintf(
            error, VMX_ERROR_MAX,
            "the firmware has locked VMX off: IA32_FEATURE_CONTROL = 0x%llx has bit 0 (lock) set "
            "and bit 2 (enable VMX outside SMX operation) clear; turn VMX on in its setup",
            (unsigned long long)value);
        return -EPERM;
    }
    return 0;
}

/* With A20 masked, address bit 20 is forced to 0: a change at 0 shows at 1 MiB. */
bool a20_is_on(void)
{
    static struct spinlock lock; /* all cores test the same word */
    spin_lock(&lock);
    volatile uint32_t *low = phys_to_virt(HPA(0x500)); /* free: above the BIOS data area */
    volatile uint32_t *high = phys_to_virt(HPA(0x500 + MIB));
    uint32_t saved = *low;
    *low = ~*high;
    bool on = *low != *high;
    *low = saved;
    spin_unlock(&lock);
    return on;
}

void a20_set(bool on)
{
    uint8_t value = inb(A20_PORT) & (uint8_t)~A20_RESET;
    outb(A20_PORT, on ? value | (uint8_t)A20_GATE : value & (uint8_t)~A20_GATE);
}

void vmx_fix_control_registers(const struct vmx_capabilities *c)
{
    write_cr0((read_cr0() | c->cr0_fixed0) & c->cr0_fixed1);
    write_cr4((read_cr4() | c->cr4_fixed0 | CR4_VMXE) & c->cr4_fixed1);
}

uint32_t vmxon(uint64_t region)
{
    register uint32_t fault __asm__("r11");
    bool invalid, valid;
    __asm__ volatile(FAULT_SAFE("vmxon %3")
                     : "=r"(fault), "=@ccc"(invalid), "=@ccz"(valid)
                     : "m"(region)
                     : "memory");
    if (fault)
        return fault;
    return invalid ? 1 : valid ? 2 : 0;
}

/* What works on every processor: allowed-1 bits that all have, required bits that any has. */
static void intersect(const struct vmx_capabilities *c)
{
    spin_lock(&common_lock);
    if (!common_valid) {
        vmx_common = *c;
    } else {
        for (unsigned word = 0; word < VMX_CONTROL_WORDS; word++) {
            uint64_t both = vmx_common.controls[word] & c->controls[word];
            uint64_t any = vmx_common.controls[word] | c->controls[word];
            vmx_common.controls[word] = (both & ~(uint64_t)UINT32_MAX) | (any & UINT32_MAX);
        }
        vmx_common.cr0_fixed0 |= c->cr0_fixed0;
        vmx_common.cr0_fixed1 &= c->cr0_fixed1;
        vmx_common.cr4_fixed0 |= c->cr4_fixed0;
        vmx_common.cr4_fixed1 &= c->cr4_fixed1;
        vmx_common.ept_vpid &= c->ept_vpid;
    }
    common_valid = true;
    vmx_common_features = vmx_features_from(&vmx_common);
    spin_unlock(&common_lock);
}

int vmx_cpu_enable(struct vmx_features *features, char error[VMX_ERROR_MAX])
{
    if (!vmx_supported()) {
        snprintf(error, VMX_ERROR_MAX,
                 "the processor has no VMX (CPUID.1:ECX.VMX, bit 5, is clear)");
        return -ENODEV;
    }
    int status = vmx_feature_control(error);
    if (status)
        return status;
    if (!a20_is_on())
        a20_set(true);
    if (!a20_is_on()) {
        snprintf(error, VMX_ERROR_MAX, "A20 is masked and cannot be enabled: VMXON needs it");
        return -EPERM;
    }
    struct vmx_capabilities capabilities;
    vmx_capabilities_read(&capabilities);
    status = vmx_capabilities_check(&capabilities, error);
    if (status)
        return status;
    *features = vmx_features_from(&capabilities);
    vmx_fix_control_registers(&capabilities);

    /* A processor that was reset in VMX operation still has its region. */
    uint32_t *region = vmxon_regions[this_cpu()->index];
    if (!region)
        region = page_alloc();
    if (!region) {
        snprintf(error, VMX_ERROR_MAX, "no memory for the VMXON region");
        return -ENOMEM;
    }
    *region = features->revision;
    uint32_t result = vmxon(virt_to_phys(region).value);
    if (result != 0) {
        snprintf(error, VMX_ERROR_MAX, "VMXON failed: %s %u",
                 result & FAULTED ? "exception" : "VMfail", result & ~(uint32_t)FAULTED);
        vmxon_regions[this_cpu()->index] = NULL;
        page_free(region);
        return -EPERM;
    }
    vmxon_regions[this_cpu()->index] = region;
    intersect(&capabilities);
    return 0;
}

void vmx_cpu_disable(void)
{
    void **region = &vmxon_regions[this_cpu()->index];
    if (!*region)
        return;
    vmcs_clear_all();
    __asm__ volatile("vmxoff" : : : "cc", "memory");
    write_cr4(read_cr4() & ~CR4_VMXE);
    page_free(*region);
    *region = NULL;
}

void vmx_use_apicv(bool use)
{
    apicv_wanted = use;
}

bool vmx_apicv(void)
{
    return apicv_wanted && vmx_common_features.apicv;
}

const struct vmx_features *vmx_features_of_all(void)
{
    return &vmx_common_features;
}

unsigned vmx_ept_max_order(void)
{
    if (vmx_common_features.ept_1g)
        return FRAME_ORDER_1G;
    return vmx_common_features.ept_2m ? FRAME_ORDER_2M : FRAME_ORDER_4K;
}

void vmx_features_describe(const struct vmx_features *f, char *text, size_t size)
{
    const struct {
        bool present;
        const char *name;
    } list[] = {
        {true, "EPT"},
        {f->ept_2m, "2M pages"},
        {f->ept_1g, "1G pages"},
        {f->ept_execute_only, "execute-only"},
        {f->vpid, "VPID"},
        {f->unrestricted_guest, "unrestricted guest"},
        {f->preemption_timer, "preemption timer"},
        {f->virtual_nmis, "virtual NMIs"},
        {f->pause_loop_exiting, "PAUSE-loop exiting"},
        {f->apicv, "APIC virtualisation"},
        {f->invept_single, "INVEPT single"},
        {f->invept_all, "INVEPT all"},
        {f->invvpid_single, "INVVPID single"},
        {f->invvpid_all, "INVVPID all"},
    };
    int used = snprintf(text, size, "VMCS revision 0x%x", f->revision);
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (list[i].present && (size_t)used < size)
            used += snprintf(text + used, size - (size_t)used, ", %s", list[i].name);
}
