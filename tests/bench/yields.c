/* SPDX-License-Identifier: MIT */
/* What a switch from one vCPU to another costs: two guests on one core yield to one another, and
 * one of them (not that with do=answer) measures until it has its turn again. That takes two
 * switches and a few instructions of both, which are taken off. */
#include "guests/lib/guest.h"

#define SAMPLES 201 /* the first ones are of no use, as the other one does not run yet */
#define ANSWERS (2 * SAMPLES)
#define AROUND  6 /* RDTSC and two MOV here; DEC, JNZ and MOV there */

static uint32_t samples[SAMPLES];

static uint32_t turn(void)
{
    uint32_t start, end;
    __asm__ volatile("rdtsc\n"
                     "mov %%eax, %0\n"
                     "mov %2, %%eax\n"
                     "vmcall\n"
                     "rdtsc\n"
                     : "=&r"(start), "=&a"(end)
                     : "i"(ATOLL_CALL_YIELD)
                     : "rdx", "memory");
    return end - start;
}

static void answer(void)
{
    uint64_t count = ANSWERS;
    __asm__ volatile("1: mov %1, %%eax\n"
                     "vmcall\n"
                     "dec %0\n"
                     "jnz 1b\n"
                     : "+c"(count)
                     : "i"(ATOLL_CALL_YIELD)
                     : "rax", "memory");
}

static void measure(void)
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint32_t ticks = turn();
        unsigned at = i;
        for (; at > 0 && samples[at - 1] > ticks; at--)
            samples[at] = samples[at - 1];
        samples[at] = ticks;
    }
    printf("yields: a switch takes %u ticks\n", (samples[SAMPLES / 2] - AROUND) / 2);
}

int main(void)
{
    if (guest_option("do"))
        answer();
    else
        measure();
    return 0;
}
