/* SPDX-License-Identifier: MIT */
/* B08: breakpoints on addresses of the host, all enabled, and then many exits. Expected: no #DB
 * for anybody, and the debug registers keep what they were given. */
#include "tests/hostile/hostile.h"

#define DR7_ALL  0x3ffu /* local and global, all four; LE, GE */
#define DR7_ONE  BIT(10)
#define DR7_RW   0x33330000u /* reads and writes, one byte */

static unsigned count;

static bool on_debug(struct exception_frame *frame)
{
    (void)frame;
    count++;
    return true;
}

CASE(b08)
{
    /* text, data, direct map, stacks: as docs/design.md says */
    static const uint64_t places[][4] = {
        {0xffffffff80200000, 0xffffffff80210000, 0xffff800000200000, 0xffffc0000000bff8},
        {0xffffffff80200010, 0xffffffff80201000, 0xffffffff80220000, 0xffffffff802ffff8},
        {0, 0xffffc0000001fff8, 0xffffd00000000000, 0xffff800000001000}};
    static const uint32_t kinds[] = {0, DR7_RW, 0x11110000};

    exception_handler_set(VECTOR_DB, on_debug);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
            const uint64_t *p = places[i];
            uint64_t d0, d1, d2, d3;
            __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
                             :
                             : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]));
            uint64_t dr7 = DR7_ALL | DR7_ONE | kinds[kind];
            write_dr7(dr7);
            for (unsigned j = 0; j < 200; j++) {
                cpuid(0, 0);
                atoll_yield();
            }
            sleep_ms(1);
            __asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
                             : "=r"(d0), "=r"(d1), "=r"(d2), "=r"(d3));
            expect(d0 == p[0] && d1 == p[1] && d2 == p[2] && d3 == p[3], "DR0 to DR3 changed");
            expect(read_dr7() == dr7, "DR7 is %lx, not %lx", read_dr7(), dr7);
            write_dr7(DR7_ONE);
        }
    }
    expect(count == 0, "%u debug exceptions", count);
    exception_handler_set(VECTOR_DB, NULL);
}
