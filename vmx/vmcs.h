/* SPDX-License-Identifier: MIT */
/* VMCS objects and typed access to the current one (SDM 24.1, 24.11). One VMCS is current on each
 * logical processor; cpu->vmcs_current remembers which, so making it current again is free. */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "kernel/cpu/cpu.h"
#include "vmx/vmcs_fields.h"
#include "vmx/vmx.h"

/* Host bugs: they print the field, the VM-instruction error, and panic. */
_Noreturn void vmcs_access_failed(uint16_t encoding);

static inline uint64_t vmcs_raw_read(uint16_t encoding)
{
    uint64_t value;
    bool failed;
    __asm__ volatile("vmread %2, %0" : "=r"(value), "=@ccbe"(failed) : "r"((uint64_t)encoding));
    if (__builtin_expect(failed, 0))
        vmcs_access_failed(encoding);
    return value;
}

static inline void vmcs_raw_write(uint16_t encoding, uint64_t value)
{
    bool failed;
    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"((uint64_t)encoding));
    if (__builtin_expect(failed, 0))
        vmcs_access_failed(encoding);
}

#define VMCS_ACCESSORS(suffix, field_type, value_type)                        \
    static inline value_type vmcs_read##suffix(enum field_type field)         \
    {                                                                         \
        return (value_type)vmcs_raw_read((uint16_t)field);                    \
    }                                                                         \
    static inline void vmcs_write##suffix(enum field_type field, value_type value) \
    {                                                                         \
        vmcs_raw_write((uint16_t)field, value);                               \
    }

VMCS_ACCESSORS(16, vmcs_field16, uint16_t)
VMCS_ACCESSORS(32, vmcs_field32, uint32_t)
VMCS_ACCESSORS(64, vmcs_field64, uint64_t)
VMCS_ACCESSORS(n, vmcs_field_natural, uint64_t)
#undef VMCS_ACCESSORS

/* Takes a page for the region, stamps it with the revision and VMCLEARs it. 0 or -ENOMEM. */
MUST_CHECK int vmcs_create(struct vmcs *vmcs, struct frame_pool *pool, uint32_t revision);

/* Frees the region. It must not be loaded on any processor. */
void vmcs_destroy(struct vmcs *vmcs, struct frame_pool *pool);

/* VMPTRLD: current on the calling processor from here on. It must not be loaded on another one. */
void vmcs_load(struct vmcs *vmcs);

/* Makes `vmcs` current again where another one was needed for a while; NULL: none was. */
void vmcs_restore(struct vmcs *vmcs);

/* VMCLEAR on the calling processor, which must be the one that has it loaded. */
void vmcs_clear(struct vmcs *vmcs);

/* VMCLEAR of all that the calling processor has loaded. */
void vmcs_clear_all(void);

/* All fields of the current VMCS; those that this processor does not have are 0. */
void vmcs_capture(struct vmcs_image *image);

#endif
