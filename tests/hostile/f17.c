/* SPDX-License-Identifier: MIT */
/* F17: a control field that a VM entry refuses. Expected: VMFAIL, with the field's name. */
#include "tests/hostile/fields.h"

CASE(f17)
{
    static const struct flip flips[] = {
        {0x4000, 1},  /* pin-based controls: a bit that must be 1 */
        {0x4000, 31}, /* ... must be 0 */
        {0x4002, 1},  /* processor-based controls */
        {0x401e, 31}, /* secondary: must be 0 */
        {0x401e, 0},  /* secondary: APIC accesses and x2APIC mode, both virtualised */
        {0x400c, 0},  /* VM-exit controls */
        {0x4012, 0},  /* VM-entry controls */
        {0x2004, 0},  /* address of the MSR bitmaps, not aligned */
        {0x2012, 0},  /* virtual-APIC address */
        {0x201a, 0},  /* EPTP: memory type 7 */
        {0x201a, 3},  /* EPTP: page-walk length */
        {0x201a, 60}, /* EPTP: beyond the physical-address width */
        {0x400a, 4},  /* CR3-target count 16 */
    };

    flip_one(flips, ARRAY_SIZE(flips));
}
