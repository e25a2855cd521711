/* SPDX-License-Identifier: MIT */
/* A05: calls from CPL 3. Expected: -EPERM and no effect, EXIT and console among them. */
#include "tests/hostile/hostile.h"

static int64_t got[64];
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

CASE(a05)
{
    user_run(call_all, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(got); i++)
        expect(got[i] == -EPERM, "call %zu at CPL 3 answers %ld", i, got[i]);
    expect(info.abi_version == 0, "VM_INFO wrote for CPL 3");
    expect(atoll_vm_info(&info) == sizeof(info), "at CPL 0 it works");
}
