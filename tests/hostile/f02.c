/* SPDX-License-Identifier: MIT */
/* F02: a breakpoint on the first instruction of the #DB handler: delivery causes the next #DB, for
 * ever. Expected: it stays preemptible, and the peer stops it. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

CASE(f02)
{
    struct descriptor_pointer pointer;

    __asm__ volatile("sidt %0" : "=m"(pointer));
    struct idt_entry *idt = (struct idt_entry *)pointer.base;
    idt[VECTOR_DB].ist = idt[VECTOR_DF].ist; /* or its stack would end the loop */
    farewell();
    __asm__ volatile("mov %0, %%dr0" : : "r"(exception_stubs + EXCEPTION_STUB_SIZE));
    write_dr7(0x401);
    __asm__ volatile(".byte 0xf1"); /* INT1 */
}
