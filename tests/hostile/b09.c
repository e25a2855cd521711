/* SPDX-License-Identifier: MIT */
/* B09: reserved bits of DR6 and DR7, and MOV DR while DR7.GD is set. Expected: #GP above bit 31,
 * #DB by GD, in the guest only. */
#include "tests/hostile/hostile.h"

#define DR6_BD  BIT(13)
#define DR7_GD  BIT(13)
#define DR7_ONE BIT(10)

static unsigned count;
static uint64_t seen;

static bool on_debug(struct exception_frame *frame)
{
    (void)frame; /* delivery has cleared GD */
    count++;
    __asm__ volatile("mov %%dr6, %0" : "=r"(seen));
    write_dr6(0);
    return true;
}

CASE(b09)
{
    for (unsigned bit = 32; bit < 64; bit++) {
        expect_vector(ATTEMPT("mov %0, %%dr6", : : "r"(BIT(bit))), VECTOR_GP, "high bit of DR6");
        expect_vector(ATTEMPT("mov %0, %%dr7", : : "r"(BIT(bit))), VECTOR_GP, "high bit of DR7");
    }
    write_dr7(0xdc00);  /* fixed, but bit 11 where there is RTM */
    expect((read_dr7() & 0xd400) == 0x400, "DR7 reads %lx", read_dr7());
    write_dr7(DR7_ONE);
    write_dr6(0);
    expect(read_dr6() == 0xffff0ff0, "DR6 reads %lx", read_dr6());
    exception_handler_set(VECTOR_DB, on_debug);
    for (unsigned i = 1; i <= 10; i++) {
        write_dr7(DR7_ONE | DR7_GD);
        uint64_t dr0 = read_dr0();
        look(dr0);
        expect(count == i, "#DB came %u times, not %u", count, i);
        expect(seen & DR6_BD, "DR6 is %lx", seen);
    }
    exception_handler_set(VECTOR_DB, NULL);
    write_dr7(DR7_ONE);
}
