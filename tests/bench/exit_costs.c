/* SPDX-License-Identifier: MIT */
/* What an exit costs its guest: TSC ticks of an instruction that exits, the empty loop taken off.
 * In Bochs with one CPU a tick is an instruction, and a run repeats exactly. */
#include "guests/lib/guest.h"

#define MSR_APIC_BASE 0x1b /* no processor reads it without an exit */
#define BATCHES       100
#define ROUNDS        20 /* of a batch: few enough that most end within a slice */

static void nothing(void)
{
}

static void null_call(void)
{
    uint64_t result = ATOLL_CALL_NULL;
    __asm__ volatile("vmcall" : "+a"(result) : : "memory");
}

static void cpuid_leaf_0(void)
{
    uint32_t a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static void read_msr(void)
{
    (void)rdmsr(MSR_APIC_BASE);
}

static void out_port(void)
{
    __asm__ volatile("outb %0, %1" : : "a"((uint8_t)0), "Nd"((uint16_t)0x80));
}

/* Of the cheapest batch: the others were interrupted. */
static uint64_t ticks(void (*what)(void))
{
    uint64_t least = UINT64_MAX;
    for (unsigned batch = 0; batch < BATCHES; batch++) {
        uint64_t start = rdtsc();
        for (unsigned i = 0; i < ROUNDS; i++)
            what();
        least = MIN(least, rdtsc() - start);
    }
    return least;
}

static void report(const char *name, void (*what)(void))
{
    printf("cost: %s %lu ticks\n", name, (ticks(what) - ticks(nothing)) / ROUNDS);
}

int main(void)
{
    report("hypercall_null", null_call);
    report("cpuid", cpuid_leaf_0);
    report("rdmsr", read_msr);
    report("out_device", out_port);
    return 0;
}
