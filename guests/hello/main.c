/* SPDX-License-Identifier: MIT */
/* A guest that says who it is and what it sees: the shortest tour of the SDK. It sleeps between its
 * lines, so that several of these interleave on the console. */
#include "guests/lib/guest.h"

#define PAUSE_MS 5

static void say_who(const struct atoll_vm_info *info)
{
    struct cpuid id = cpuid(ATOLL_CPUID_BASE, 0);
    struct cpuid abi = cpuid(ATOLL_CPUID_INFO, 0);
    char signature[13] = {0};

    memcpy(signature, &id.ebx, 4);
    memcpy(signature + 4, &id.ecx, 4);
    memcpy(signature + 8, &id.edx, 4);
    printf("I am VM %u, \"%s\", on core %u\n", info->vm, info->name, info->physical_cpu);
    printf("hypervisor \"%s\", ABI version %u\n", signature, abi.eax);
}

static void say_processor(void)
{
    char brand[49] = {0};

    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid r = cpuid(0x80000002u + i, 0);
        memcpy(brand + 16 * i, &r, 16);
    }
    const char *text = brand;
    while (*text == ' ')
        text++;
    printf("processor: %s\n", *text ? text : "(no brand string)");
    printf("TSC: %lu MHz; VMX %s, SVM %s\n", tsc_hz() / 1000000,
           cpu_has(CPUID_VMX) ? "visible (wrong)" : "hidden",
           cpu_has(CPUID_SVM) ? "visible (wrong)" : "hidden");
}

static void say_time(void)
{
    int64_t ns = atoll_wall_clock();

    if (ns < 0) {
        printf("no wall clock (%ld)\n", ns);
        return;
    }
    struct date_time t = date_time_utc((uint64_t)ns / 1000000000);
    printf("it is %04u-%02u-%02u %02u:%02u:%02u UTC\n", t.year, t.month, t.day, t.hour, t.minute,
           t.second);
}

/* The square root of two by Newton's method, one step a sleep: SSE registers belong to this guest
 * however often the core changes hands. */
static bool compute_across_sleeps(void)
{
    double root = 1.0;

    for (int step = 0; step < 6; step++) {
        root = (root + 2.0 / root) / 2.0;
        sleep_ms(1);
    }
    long millionths = (long)(root * 1e6);
    printf("sqrt(2) = %ld.%06ld, computed across sleeps\n", millionths / 1000000,
           millionths % 1000000);
    return millionths == 1414213;
}

int main(void)
{
    struct atoll_vm_info info = {0};

    if (atoll_vm_info(&info) < 0)
        return 1;
    say_who(&info);
    sleep_ms(PAUSE_MS);
    say_processor();
    sleep_ms(PAUSE_MS);
    printf("RAM: %llu KiB; command line: \"%s\"\n", guest_ram_size() / KIB, guest_command_line());
    sleep_ms(PAUSE_MS);
    say_time();
    bool right = compute_across_sleeps();
    printf("good-bye\n");
    return right ? 0 : 1;
}
