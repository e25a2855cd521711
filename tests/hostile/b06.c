/* SPDX-License-Identifier: MIT */
/* B06: CR8 at 15, interrupts off, and a long computation. Expected: the guest is preempted all the
 * same, and CR8 keeps what it was given. */
#include "tests/hostile/hostile.h"

CASE(b06)
{
    for (uint64_t priority = 0; priority < 16; priority++) {
        write_cr8(priority);
        expect(read_cr8() == priority, "CR8 is %lu", read_cr8());
    }
    for (unsigned bit = 4; bit < 64; bit++)
        expect_vector(ATTEMPT("mov %0, %%cr8", : : "r"(BIT(bit))), VECTOR_GP, "a bit of CR8");
    expect(read_cr8() == 15, "CR8 became %lu", read_cr8());
    interrupts_off();
    for (volatile unsigned i = 0; i < 1000000; i++)
        ;
    expect(read_cr8() == 15, "CR8 became %lu", read_cr8());
    write_cr8(0);
    interrupts_on();
}
