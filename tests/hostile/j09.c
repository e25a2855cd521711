/* SPDX-License-Identifier: MIT */
/* J09: patterns in all FPU, SSE, AVX and AVX-512 registers, across slices, yields and sleeps
 * beside others that do the same, in three lives. Expected: at each start the registers that
 * nobody has used hold nothing, and each guest keeps its own pattern. */
#include "tests/hostile/hostile.h"

#define XCR0_ALL 0xe7u
#define SIZE     4096

static uint8_t area[SIZE] __attribute__((aligned(64))), pattern[SIZE] __attribute__((aligned(64)));
static uint32_t size;

static void save(void)
{
    memset(area, 0, sizeof(area));
    __asm__ volatile("xsave64 %0" : "=m"(area) : "a"(UINT32_MAX), "d"(0) : "memory");
}

static void load(void)
{
    __asm__ volatile("xrstor64 %0" : : "m"(pattern), "a"(UINT32_MAX), "d"(0) : "memory");
}

/* Behind the header: AVX, opmask and ZMM state; before it, XMM6 to XMM15 and the x87 registers. The
 * SDK may have used the first XMM registers. */
static void expect_fresh(void)
{
    save();
    for (size_t i = 32; i < 160; i++)
        expect(area[i] == 0, "x87 byte %zu is %x at the start", i, area[i]);
    for (size_t i = 160 + 8 * 16; i < 416; i++)
        expect(area[i] == 0, "XMM byte %zu is %x at the start", i, area[i]);
    for (size_t i = 576; i < size; i++)
        expect(area[i] == 0, "byte %zu is %x at the start", i, area[i]);
}

static uint8_t byte(size_t i)
{
    return (uint8_t)(0x41 + 0x20 * variant() + i % 29);
}

CASE(j09)
{
    struct atoll_vm_info info;
    struct atoll_vm_state state;

    if (!cpu_has(CPUID_XSAVE)) {
        expect(true, "there is no XSAVE");
        return;
    }
    write_cr4(read_cr4() | X86_CR4_OSXSAVE);
    uint32_t all = cpuid(0xd, 0).eax & XCR0_ALL;
    __asm__ volatile("xsetbv" : : "c"(0), "a"(all), "d"(0));
    size = cpuid(0xd, 0).ebx;
    expect(size <= SIZE, "%u bytes of state", size);
    expect_fresh();
    memcpy(pattern, area, sizeof(pattern));
    for (size_t i = 32; i < 416; i++)
        pattern[i] = i < 160 && i % 16 >= 10 ? 0 : byte(i);
    for (uint32_t component = 2; component < 8; component++) {
        struct cpuid place = cpuid(0xd, component);
        for (uint32_t i = 0; (all >> component & 1) && i < place.eax; i++)
            pattern[place.ebx + i] = byte(i);
    }
    memcpy(pattern + 512, &(uint64_t){all}, 8); /* XSTATE_BV */
    for (unsigned round = 0; round < 24; round++) {
        load();
        if (round % 3 == 0)
            atoll_sleep_for(200000);
        else if (round % 3 == 1)
            atoll_yield();
        else
            for (volatile unsigned i = 0; i < 30000; i++)
                ;
        save();
        expect(memcmp(area + 32, pattern + 32, 384) == 0, "round %u: x87 or SSE", round);
        expect(memcmp(area + 576, pattern + 576, size - 576) == 0, "round %u: AVX", round);
    }
    atoll_vm_info(&info);
    if (atoll_vm_state(info.vm, &state) == sizeof(state) && state.starts < 3) {
        load();
        atoll_exit(1);
    }
}
