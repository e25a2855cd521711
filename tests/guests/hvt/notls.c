/* SPDX-License-Identifier: MIT */
/* The word that a stack protector reads, at the base of FS, which is 0: a page fault. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

int main(void)
{
    uint64_t word;

    __asm__ volatile("mov %%fs:0x28, %0" : "=r"(word));
    printf("FAILURE: %lx\n", word);
    return 1;
}
