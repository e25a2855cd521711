/* SPDX-License-Identifier: MIT */
/* B04: the bits of CR0 and CR4 that VMX fixes. Expected: the guest sees what it wrote itself: no
 * VMXE, and NE clear when it clears it. */
#include "tests/hostile/hostile.h"

CASE(b04)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();

    for (unsigned i = 0; i < 50; i++) {
        expect(!(read_cr4() & X86_CR4_VMXE), "CR4.VMXE shows");
        write_cr0(cr0 & ~X86_CR0_NE);
        expect(read_cr0() == (cr0 & ~X86_CR0_NE), "CR0.NE stays: %lx", read_cr0());
        atoll_yield();
        write_cr4(cr4 | X86_CR4_MCE);
        expect(read_cr4() == (cr4 | X86_CR4_MCE), "CR4.MCE is not the guest's");
        write_cr4(cr4 & ~X86_CR4_MCE);
        expect(!(read_cr4() & X86_CR4_MCE), "CR4.MCE of the host shows");
        write_cr0(cr0);
        write_cr4(cr4);
    }
}
