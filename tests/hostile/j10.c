/* SPDX-License-Identifier: MIT */
/* J10: patterns in DR0 to DR3, DR6, CR2, XCR0, FS and GS bases, in three lives beside others.
 * Expected: each life starts with the values of a reset, and the patterns stay. */
#include "tests/hostile/hostile.h"

struct state {
    uint64_t dr0, dr1, dr2, dr3, dr6, cr2, fs, kernel_gs;
};

static struct state read_state(void)
{
    struct state s;

    __asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
                     : "=r"(s.dr0), "=r"(s.dr1), "=r"(s.dr2), "=r"(s.dr3));
    s.dr6 = read_dr6();
    s.cr2 = read_cr2();
    s.fs = rdmsr(MSR_FS_BASE);
    s.kernel_gs = rdmsr(MSR_KERNEL_GS_BASE);
    return s;
}

static void write_state(const struct state *s)
{
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
                     :
                     : "r"(s->dr0), "r"(s->dr1), "r"(s->dr2), "r"(s->dr3));
    write_dr6(s->dr6);
    write_cr2(s->cr2);
    wrmsr(MSR_FS_BASE, s->fs);
    wrmsr(MSR_KERNEL_GS_BASE, s->kernel_gs);
}

CASE(j10)
{
    static const struct state fresh = {.dr6 = 0xffff0ff0};
    struct state now = read_state();
    struct atoll_vm_info info;
    struct atoll_vm_state vm;

    expect(memcmp(&now, &fresh, sizeof(now)) == 0,
           "it starts with DR %lx %lx %lx %lx %lx, CR2 %lx, bases %lx %lx", now.dr0, now.dr1,
           now.dr2, now.dr3, now.dr6, now.cr2, now.fs, now.kernel_gs);
    expect(read_dr7() == 0x400, "DR7 starts as %lx", read_dr7());
    if (cpu_has(CPUID_XSAVE)) {
        uint32_t low, high;
        write_cr4(read_cr4() | X86_CR4_OSXSAVE);
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        expect(low == 1 && high == 0, "XCR0 starts as %x", low);
        __asm__ volatile("xsetbv" : : "c"(0), "a"(3), "d"(0));
    }
    for (unsigned round = 0; round < 24; round++) {
        uint64_t tag = (uint64_t)(variant() + 1) << 32 | round << 8;
        struct state mine = {tag, tag + 1, tag + 2, tag + 3, 0xffff0ff0 | (round & 15), tag + 4,
                             tag + 5, tag + 6};
        write_state(&mine);
        if (round % 3 == 0)
            atoll_sleep_for(100000);
        else if (round % 3 == 1)
            atoll_yield();
        else
            for (volatile unsigned i = 0; i < 20000; i++)
                ;
        now = read_state();
        expect(memcmp(&now, &mine, sizeof(now)) == 0, "round %u: a register changed", round);
    }
    atoll_vm_info(&info);
    if (atoll_vm_state(info.vm, &vm) == sizeof(vm) && vm.starts < 3)
        atoll_exit(1);
}
