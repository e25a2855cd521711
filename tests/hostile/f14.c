/* SPDX-License-Identifier: MIT */
/* F14: a guest state that a VM entry refuses. Expected: ENTRY_FAIL_STATE, with the field's name. */
#include "tests/hostile/fields.h"

CASE(f14)
{
    static const struct flip flips[] = {
        {0x6800, 5},  /* CR0.NE, which VMX fixes */
        {0x6804, 13}, /* CR4.VMXE, likewise */
        {0x6802, 60}, /* CR3, beyond the physical-address width */
        {0x6820, 1},  /* RFLAGS, a bit that is 1 */
        {0x6820, 15}, /* RFLAGS, one that is 0 */
        {0x4816, 4},  /* CS access rights: S */
        {0x4818, 7},  /* SS access rights: P */
        {0x4822, 7},  /* TR access rights: P */
        {0x6814, 60}, /* TR base, not canonical */
        {0x6816, 60}, /* GDTR base */
        {0x4810, 20}, /* GDTR limit, more than 16 bits */
        {0x4826, 3},  /* activity state 8 */
        {0x4824, 7},  /* interruptibility state, reserved */
        {0x2800, 0},  /* VMCS link pointer, neither all ones nor a page */
        {0x2806, 10}, /* IA32_EFER.LMA, against "IA-32e mode guest" */
    };

    flip_one(flips, ARRAY_SIZE(flips));
}
