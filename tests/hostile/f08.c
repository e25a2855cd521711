/* SPDX-License-Identifier: MIT */
/* F08: a page fault whose gate is not present. Expected: #DF in the guest, once for each; n=1: the
 * gate of #DF is not present either: TRIPLE_FAULT. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

#define PRESENT 0x80
#define PLACE   (6ull << 39)

static volatile unsigned count;

static bool on_double_fault(struct exception_frame *frame)
{
    count++;
    frame->rip = frame->rbx;
    return true;
}

CASE(f08)
{
    struct descriptor_pointer pointer;

    __asm__ volatile("sidt %0" : "=m"(pointer));
    struct idt_entry *idt = (struct idt_entry *)pointer.base;
    exception_handler_set(VECTOR_DF, on_double_fault);
    idt[VECTOR_PF].type &= (uint8_t)~PRESENT;
    if (variant() == 1) {
        idt[VECTOR_DF].type &= (uint8_t)~PRESENT;
        farewell();
    }
    for (unsigned i = 1; i <= 50; i++) {
        __asm__ volatile("lea 2f(%%rip), %%rbx\n"
                         "mov (%0), %%eax\n"
                         "2:"
                         :
                         : "r"(PLACE)
                         : "rax", "rbx", "memory");
        expect(count == i, "#DF came %u times, not %u", count, i);
    }
    idt[VECTOR_PF].type |= PRESENT;
}
