/* SPDX-License-Identifier: MIT */
/* J11: all registers with which a vCPU starts, by the call that says they are those of PVH: general
 * ones with their upper halves, control and debug registers, descriptor tables, MSRs; then the same
 * around every call. Expected: EBX as given, the modes of the ABI, zero or a reset's value in all
 * others; no call changes anything but RAX, which is 0 above bit 31 unless it is an errno. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"
#include "tests/hostile/modes.h"

#define ROUNDS 10
#define ERRNOS 200

static void expect_start(uint32_t ebx)
{
    static const struct {
        unsigned slot;
        uint32_t value;
    } others[] = {{START_DR6, 0xffff0ff0}, {START_DR7, 0x400}, {START_XCR0, 1},
                  {START_EFLAGS, 2},       {START_TR, 0x18}};

    for (unsigned i = 0; i < START_MSRS_END; i++) {
        uint32_t wanted = i == START_EBX ? ebx : 0;
        for (size_t j = 0; j < ARRAY_SIZE(others); j++)
            wanted = others[j].slot == i ? others[j].value : wanted;
        if (i == START_CR0)
            expect((start_registers[i] & 0x8000ffdfu) == 0x11, "CR0 starts as %x",
                   start_registers[i]);
        else
            expect(start_registers[i] == wanted, "slot %u starts as %x, not %x", i,
                   start_registers[i], wanted);
    }
    for (size_t i = 0; i < ARRAY_SIZE(start_wide); i++)
        expect(start_wide[i] == (i == 0 ? ebx : 0), "64-bit register %zu starts as %lx", i,
               start_wide[i]);
}

static void starts(void)
{
    start_cr3 = read_cr3();
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        memset((void *)start_registers, 0xff, sizeof(start_registers));
        uint64_t end = now_ns() + 200000000;
        int64_t error;
        do /* the INIT of the round before takes effect a little later */
            error = atoll_start_vcpu(1, (uintptr_t)start32, 0xab000000 | round);
        while (error == -EBUSY && now_ns() < end);
        expect(error == 0, "no start: %ld", error);
        while (start_registers[START_DONE] != 1 && now_ns() < end)
            atoll_yield();
        expect(start_registers[START_DONE] == 1, "vCPU 1 does not come");
        expect_start(0xab000000 | round);
        apic_send_init(1);
    }
}

/* What a call has no business with. */
struct system {
    uint64_t cr0, cr2, cr3, cr4, cr8, dr6, dr7, efer, fs, gs, kernel_gs, lstar, sysenter;
    uint32_t cs, ss, ds, es, fs_selector, gs_selector, tr, ldtr;
    struct descriptor_pointer gdt, idt;
};

static struct system read_system(void)
{
    struct system s;

    memset(&s, 0, sizeof(s));
    s.cr0 = read_cr0(), s.cr2 = read_cr2(), s.cr3 = read_cr3(), s.cr4 = read_cr4();
    s.cr8 = read_cr8(), s.dr6 = read_dr6(), s.dr7 = read_dr7(), s.efer = rdmsr(MSR_EFER);
    s.fs = rdmsr(MSR_FS_BASE), s.gs = rdmsr(MSR_GS_BASE), s.lstar = rdmsr(MSR_LSTAR);
    s.kernel_gs = rdmsr(MSR_KERNEL_GS_BASE), s.sysenter = rdmsr(0x176);
    __asm__ volatile("mov %%cs, %0; mov %%ss, %1; mov %%ds, %2; mov %%es, %3"
                     : "=r"(s.cs), "=r"(s.ss), "=r"(s.ds), "=r"(s.es));
    __asm__ volatile("mov %%fs, %0; mov %%gs, %1; str %2; sldt %3; sgdt %4; sidt %5"
                     : "=r"(s.fs_selector), "=r"(s.gs_selector), "=r"(s.tr), "=r"(s.ldtr),
                       "=m"(s.gdt), "=m"(s.idt));
    return s;
}

static void call(uint64_t number, const uint64_t arguments[5])
{
    struct system before = read_system();
    int64_t result = call_expect(number, arguments);
    struct system after = read_system();

    expect(memcmp(&before, &after, sizeof(before)) == 0, "call %lu changed a system register",
           number);
    expect(number == ATOLL_CALL_WALL_CLOCK || (result > -ERRNOS && result <= UINT32_MAX),
           "call %lu answers %lx", number, result);
}

CASE(j11)
{
    static uint8_t buffer[ATOLL_BLOCK_MAX];

    starts();
    write_cr2(0x1234567890);
    write_dr6(0xffff0ff5);
    wrmsr(MSR_KERNEL_GS_BASE, 0x112233445566);
    for (uint64_t number = 0; number < 32; number++) {
        const uint64_t good[] = {0, (uintptr_t)buffer, 64, (uintptr_t)buffer, 64};
        const uint64_t to_buffer[] = {(uintptr_t)buffer, 64, (uintptr_t)buffer, 512, 0};
        const uint64_t bad[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};

        if (number == ATOLL_CALL_EXIT)
            continue;
        call(number, good);
        if (number == ATOLL_CALL_SLEEP_UNTIL || number == ATOLL_CALL_SLEEP_FOR)
            continue; /* what follows would be long */
        if (number != ATOLL_CALL_CONSOLE_WRITE)
            call(number, to_buffer);
        call(number, bad);
        atoll_null(); /* not too many unknown ones in a row */
    }
    write_cr2(0);
}
