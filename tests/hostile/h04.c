/* SPDX-License-Identifier: MIT */
/* H04: replies onto the guest's own stack, IDT, page tables and start information. Expected:
 * exactly the bytes of the reply are there, and the guest goes on once it has put back what was
 * there. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

/* Saves what is at `place`, has a reply of `size` bytes written there, compares, restores. */
static void onto(const char *what, volatile uint8_t *place, uint64_t size)
{
    static uint8_t saved[256];
    static struct atoll_vm_info wanted;
    uint64_t differ = 0;

    interrupts_off();
    for (uint64_t i = 0; i < size + 8; i++)
        saved[i] = place[i];
    int64_t result = atoll_call2(ATOLL_CALL_VM_INFO, (uintptr_t)place, size);
    for (uint64_t i = 0; i < 8; i++)
        differ += place[size + i] != saved[size + i];
    uint32_t version = *(volatile uint32_t *)place;
    for (uint64_t i = 0; i < size; i++)
        place[i] = saved[i];
    interrupts_on();
    atoll_vm_info(&wanted);
    expect(result == (int64_t)size && version == ATOLL_ABI_VERSION, "%s: %ld, %u", what, result,
           version);
    expect(differ == 0, "%s: %lu bytes behind it changed", what, differ);
}

CASE(h04)
{
    uint8_t on_stack[256];
    struct descriptor_pointer idt;
    uint64_t cr3 = read_cr3();

    memset(on_stack, 0, sizeof(on_stack));
    __asm__ volatile("sidt %0" : "=m"(idt));
    for (unsigned i = 0; i < 50; i++) {
        onto("the stack", on_stack, 72);
        onto("the IDT", (uint8_t *)idt.base, 72);
        onto("the PML4", (uint8_t *)(cr3 + 2048), 72);
        onto("the start information", (uint8_t *)0x1000, 64);
    }
}
