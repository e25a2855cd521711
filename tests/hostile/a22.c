/* SPDX-License-Identifier: MIT */
/* A22: accesses outside RAM by instructions of all forms, n= of them. Expected: no device is there
 * and no instruction is emulated, so each ends the guest with EPT_VIOLATION at that address. */
#include "tests/hostile/hostile.h"

static uint8_t buffer[4096] __attribute__((aligned(64)));

CASE(a22)
{
    uint64_t at = guest_ram_end();
    uint64_t count = 512;
    void *to = (void *)at;
    const void *from = buffer;

    farewell_at(at);
    switch (variant()) {
    case 0:
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        break;
    case 1:
        __asm__ volatile("rep movsq" : "+S"(to), "+D"(from), "+c"(count) : : "memory");
        break;
    case 2:
        __asm__ volatile("xchg %%rax, (%0)" : : "r"(at) : "rax", "memory");
        break;
    case 3:
        __asm__ volatile("lock cmpxchg %%rbx, (%0)" : : "r"(at) : "rax", "rbx", "memory");
        break;
    case 4:
        __asm__ volatile("lock addq $1, (%0)" : : "r"(at) : "memory");
        break;
    case 5:
        __asm__ volatile("movaps %%xmm0, (%0)" : : "r"(at) : "memory");
        break;
    case 6:
        __asm__ volatile("fxsave64 (%0)" : : "r"(at) : "memory");
        break;
    case 7:
        __asm__ volatile("push (%0)" : : "r"(at) : "memory");
        break;
    case 8:
        __asm__ volatile("push %%rax\n"
                         "pop (%0)"
                         :
                         : "r"(at)
                         : "memory");
        break;
    case 9:
        __asm__ volatile("rex64 lcall *(%0)" : : "r"(at) : "memory");
        break;
    case 10:
        __asm__ volatile("call *(%0)" : : "r"(at) : "memory");
        break;
    case 11: /* fifteen bytes, with prefixes that mean nothing here */
        __asm__ volatile(".byte 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26\n"
                         ".byte 0x2e, 0x66, 0x48, 0x89, 0x08"
                         :
                         : "a"(at)
                         : "memory");
        break;
    }
}
