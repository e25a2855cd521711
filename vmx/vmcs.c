/* SPDX-License-Identifier: MIT */
/* VMCS objects: who has one loaded is known, and a result of VMCLEAR, VMPTRLD, VMREAD or VMWRITE is
 * never ignored (SDM 30.2: each is either VMsucceed or VMfail). */
#include "vmx/vmcs.h"

#include <linux/errno.h>

#include "kernel/mm/phys.h"
#include "kernel/panic.h"
#include "vmx/instruction_error.h"

/* "none" when there is no current VMCS to read it from (VMfailInvalid). */
static uint32_t instruction_error(void)
{
    uint64_t value = 0;
    bool failed;
    __asm__ volatile("vmread %2, %0"
                     : "=r"(value), "=@ccbe"(failed)
                     : "r"((uint64_t)VMCS_INSTRUCTION_ERROR));
    return failed ? 0 : (uint32_t)value;
}

static _Noreturn void failed(const char *instruction, uint64_t operand)
{
    uint32_t error = instruction_error();
    panic("%s 0x%llx failed: VM-instruction error %u (%s)", instruction,
          (unsigned long long)operand, error, vmx_instruction_error_name(error));
}

_Noreturn void vmcs_access_failed(uint16_t encoding)
{
    failed("VMREAD or VMWRITE of field", encoding);
}

static void vmclear(struct vmcs *vmcs)
{
    uint64_t address = virt_to_phys(vmcs->region).value;
    bool fail;
    __asm__ volatile("vmclear %1" : "=@ccbe"(fail) : "m"(address) : "memory");
    if (fail)
        failed("VMCLEAR", address);
}

int vmcs_create(struct vmcs *vmcs, struct frame_pool *pool, uint32_t revision)
{
    *vmcs = (struct vmcs){.region = frame_pool_page(pool), .cpu = VMCS_NOT_LOADED};
    if (!vmcs->region)
        return -ENOMEM;
    *(uint32_t *)vmcs->region = revision; /* bit 31, the shadow-VMCS indicator, is 0 */
    vmclear(vmcs);
    return 0;
}

void vmcs_destroy(struct vmcs *vmcs, struct frame_pool *pool)
{
    if (vmcs->cpu != VMCS_NOT_LOADED)
        panic("a VMCS is freed while loaded on cpu%u", vmcs->cpu);
    if (vmcs->region)
        frame_pool_free_page(pool, vmcs->region);
    vmcs->region = NULL;
}

void vmcs_load(struct vmcs *vmcs)
{
    struct cpu *cpu = this_cpu();
    if (cpu->vmcs_current == vmcs)
        return;
    if (vmcs->cpu != VMCS_NOT_LOADED && vmcs->cpu != cpu->index)
        panic("a VMCS is loaded on cpu%u and on cpu%u", vmcs->cpu, cpu->index);
    uint64_t address = virt_to_phys(vmcs->region).value;
    bool fail;
    __asm__ volatile("vmptrld %1" : "=@ccbe"(fail) : "m"(address) : "memory");
    if (fail)
        failed("VMPTRLD", address);
    if (vmcs->cpu == VMCS_NOT_LOADED)
        LIST_INSERT_HEAD(&cpu->vmcs_loaded, vmcs, loaded);
    vmcs->cpu = cpu->index;
    cpu->vmcs_current = vmcs;
}

void vmcs_restore(struct vmcs *vmcs)
{
    if (vmcs)
        vmcs_load(vmcs);
}

void vmcs_clear(struct vmcs *vmcs)
{
    struct cpu *cpu = this_cpu();
    if (vmcs->cpu != cpu->index)
        panic("VMCLEAR on cpu%u of a VMCS that is loaded on cpu%d", cpu->index, (int)vmcs->cpu);
    vmclear(vmcs);
    LIST_REMOVE(vmcs, loaded);
    vmcs->cpu = VMCS_NOT_LOADED;
    vmcs->launched = false;
    if (cpu->vmcs_current == vmcs)
        cpu->vmcs_current = NULL;
}

void vmcs_clear_all(void)
{
    struct vmcs *vmcs;
    while ((vmcs = LIST_FIRST(&this_cpu()->vmcs_loaded)))
        vmcs_clear(vmcs);
}

void vmcs_capture(struct vmcs_image *image)
{
    for (unsigned i = 0; i < VMCS_FIELDS; i++) {
        uint64_t value;
        bool fail;
        __asm__ volatile("vmread %2, %0"
                         : "=r"(value), "=@ccbe"(fail)
                         : "r"((uint64_t)vmcs_fields[i].encoding));
        image->value[i] = fail ? 0 : value;
    }
}
