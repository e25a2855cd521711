/* SPDX-License-Identifier: MIT */
/* K06: a field of the host state is damaged, each that an entry looks at. Expected: VMFAIL, with the
 * field's name, before the processor would load it. */
#include "tests/hostile/fields.h"

CASE(k06)
{
    static const struct flip flips[] = {
        {0x6c00, 0},  /* CR0.PE */
        {0x6c00, 5},  /* CR0.NE */
        {0x6c00, 31}, /* CR0.PG */
        {0x6c02, 60}, /* CR3, beyond the physical-address width */
        {0x6c04, 5},  /* CR4.PAE */
        {0x6c04, 13}, /* CR4.VMXE */
        {0x0c00, 0},  /* ES: RPL */
        {0x0c02, 1},  /* CS */
        {0x0c04, 2},  /* SS: TI */
        {0x0c06, 0},  /* DS */
        {0x0c08, 0},  /* FS */
        {0x0c0a, 0},  /* GS */
        {0x0c0c, 0},  /* TR */
        {0x6c06, 60}, /* FS base, not canonical */
        {0x6c08, 60}, /* GS base */
        {0x6c0a, 60}, /* TR base */
        {0x6c0c, 60}, /* GDTR base */
        {0x6c0e, 60}, /* IDTR base */
        {0x6c10, 60}, /* IA32_SYSENTER_ESP */
        {0x6c12, 60}, /* IA32_SYSENTER_EIP */
        {0x6c16, 60}, /* RIP */
        {0x2c00, 3},  /* IA32_PAT: a memory type that is none */
        {0x2c02, 1},  /* IA32_EFER, reserved */
        {0x2c02, 10}, /* IA32_EFER.LMA */
    };

    flip_one(flips, ARRAY_SIZE(flips));
}
