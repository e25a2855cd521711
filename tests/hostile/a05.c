/* SPDX-License-Identifier: MIT */
/* A05: calls from CPL 3, also from conforming code, whose DPL is 0. Expected: -EPERM and no effect,
 * EXIT and console among them. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

#define CONFORMING 8 /* its entry in the table */

static int64_t got[64];
static uint64_t conforming_selector;
static struct atoll_vm_info info;

static void call_all(void *unused)
{
    static const char forged[] = "FAILURE: a05: a call from CPL 3 writes\n";

    (void)unused;
    for (uint64_t number = 0; number < ARRAY_SIZE(got); number++)
        got[number] = atoll_call4(number, number == ATOLL_CALL_EXIT ? 1 : (uintptr_t)forged,
                                  sizeof(forged) - 1, (uintptr_t)&info, 8);
    atoll_vm_info(&info);
}

/* VM_INFO, for a call that would have an effect. */
static void call_conforming(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %%cs, %%rcx\n"
                     "push %%rcx\n"
                     "lea 2f(%%rip), %%rcx\n"
                     "push %%rcx\n"
                     "push %[conforming]\n"
                     "lea 1f(%%rip), %%rcx\n"
                     "push %%rcx\n"
                     "lretq\n"
                     "1: mov %%cs, %[selector]\n"
                     "vmcall\n"
                     "lretq\n"
                     "2:"
                     : "=a"(got[0]), [selector] "=&b"(conforming_selector)
                     : "a"(ATOLL_CALL_VM_INFO), "D"(&info), "S"(sizeof(info)),
                       [conforming] "i"(CONFORMING * 8 | 3)
                     : "rcx", "memory");
}

static void expect_conforming_refused(void)
{
    static uint64_t table[CONFORMING + 1];
    struct descriptor_pointer old;

    __asm__ volatile("sgdt %0" : "=m"(old));
    memcpy(table, (const void *)old.base, MIN(old.limit + 1ul, sizeof(table)));
    table[CONFORMING] = 0x00af9e000000ffff; /* 64-bit, conforming, readable, DPL 0 */
    lgdt(table, sizeof(table));
    user_run(call_conforming, NULL);
    lgdt((const void *)old.base, old.limit + 1ul);
    expect(conforming_selector == (CONFORMING * 8 | 3), "it ran in %lx", conforming_selector);
    expect(got[0] == -EPERM, "a call from conforming code at CPL 3 answers %ld", got[0]);
}

CASE(a05)
{
    user_run(call_all, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(got); i++)
        expect(got[i] == -EPERM, "call %zu at CPL 3 answers %ld", i, got[i]);
    expect_conforming_refused();
    expect(info.abi_version == 0, "VM_INFO wrote for CPL 3");
    expect(atoll_vm_info(&info) == sizeof(info), "at CPL 0 it works");
}
