/* SPDX-License-Identifier: MIT */
/* A guest that exits as often as is known: once as its number says for the first VM, twice for the
 * second, and so on, so that what its start costs cancels out between two of them. Then it sleeps
 * for long, so that its figures can be read. tests/boot/test_exits.py has the same numbers. */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define CPUIDS    40
#define NULLS     30
#define CLOCKS    7
#define UNKNOWNS  5
#define SLEEPS    6
#define LAST_PORT 0x310 /* from 0x300 on one access each: more ports than are told apart */
#define PLACE     (48 * MIB)
#define PAGES     9
#define SLEEP_NS  1000000
#define LONG_NS   (3600 * 1000000000ull)

static void ports(unsigned times)
{
    for (unsigned i = 0; i < 20 * times; i++)
        out8(0x80, 0);
    for (unsigned i = 0; i < 3 * times; i++)
        (void)in8(0x2f8);
    for (unsigned i = 0; i < times; i++)
        out8(0xffff, 0);
    for (uint16_t port = 0x300; port < LAST_PORT; port++)
        out8(port, 0);
}

static void calls(unsigned times)
{
    for (unsigned i = 0; i < NULLS * times; i++)
        atoll_null();
    for (unsigned i = 0; i < CLOCKS * times; i++)
        atoll_wall_clock();
    for (unsigned i = 0; i < UNKNOWNS * times; i++)
        atoll_call0(0x1234);
    for (unsigned i = 0; i < SLEEPS * times; i++)
        atoll_sleep_for(SLEEP_NS);
}

/* The first touch of each page, in two places of 2 MiB. */
static void pages(unsigned times)
{
    for (unsigned i = 0; i < PAGES * times; i++) {
        *(volatile char *)(PLACE + i * PAGE_SIZE) = 1;
        *(volatile char *)(PLACE + PAGE_SIZE_2M + i * PAGE_SIZE) = 1;
    }
}

int main(void)
{
    unsigned times = cpuid(ATOLL_CPUID_INFO, 0).ebx + 1;

    for (unsigned i = 0; i < CPUIDS * times; i++)
        cpuid(0, 0);
    ports(times);
    calls(times);
    pages(times);
    printf("counted\n");
    atoll_sleep_for(LONG_NS);
    return 1;
}
