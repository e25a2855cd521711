/* SPDX-License-Identifier: MIT */
/* A19: SGDT, SIDT, SLDT, STR, SMSW at CPL 3 and 0. Expected: the guest's own values, no address of
 * the host. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

static struct {
    struct descriptor_pointer gdt, idt;
    uint64_t ldt, tr, msw;
} seen;

static void store_all(void *unused)
{
    (void)unused;
    __asm__ volatile("sgdt %0\n"
                     "sidt %1\n"
                     "sldt %2\n"
                     "str %3\n"
                     "smsw %4"
                     : "=m"(seen.gdt), "=m"(seen.idt), "=r"(seen.ldt), "=r"(seen.tr),
                       "=r"(seen.msw));
}

static void judge(void)
{
    expect(seen.gdt.base < guest_ram_end(), "GDT at 0x%lx", seen.gdt.base);
    expect(seen.idt.base < guest_ram_end(), "IDT at 0x%lx", seen.idt.base);
    expect(seen.idt.limit == 4095, "IDT limit %x", seen.idt.limit);
    expect(seen.ldt == 0 && seen.tr == SELECTOR_TSS, "LDT %lx, TR %lx", seen.ldt, seen.tr);
    expect((uint32_t)seen.msw == (uint32_t)read_cr0(), "SMSW %lx, CR0 %lx", seen.msw, read_cr0());
}

CASE(a19)
{
    store_all(NULL);
    judge();
    memset(&seen, 0, sizeof(seen));
    user_run(store_all, NULL);
    judge();
}
