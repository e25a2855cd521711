/* SPDX-License-Identifier: MIT */
/* A04: calls of all numbers up to 70000 with any arguments. Expected: an error for what there is
 * not, all registers but the result unchanged; n=1: too many in a row end the guest. */
#include "tests/hostile/hostile.h"

#define CALLS      24u
#define NUMBERS    70000u
#define ROUNDS     20
#define ENOSYS_MAX 200 /* an answer below 0 and above -this is an errno */

/* All registers that the ABI says are preserved. */
static int64_t call(uint64_t number, const uint64_t with[5])
{
    uint64_t rdi = with[0], rsi = with[1], rdx = with[2], rbx = 0x1122334455667788, rcx = ~0ull;
    register uint64_t r8 __asm__("r8") = with[4], r9 __asm__("r9") = 9;
    register uint64_t r10 __asm__("r10") = with[3];
    register uint64_t r11 __asm__("r11") = 11, r12 __asm__("r12") = 12, r15 __asm__("r15") = 15;
    int64_t rax = (int64_t)number;

    __asm__ volatile("vmcall"
                     : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx), "+D"(rdi), "+S"(rsi), "+r"(r8),
                       "+r"(r9), "+r"(r10), "+r"(r11), "+r"(r12), "+r"(r15)
                     :
                     : "memory");
    expect(rdi == with[0] && rsi == with[1] && rdx == with[2] && r10 == with[3] && r8 == with[4] &&
               rbx == 0x1122334455667788 && rcx == ~0ull && r9 == 9 && r11 == 11 && r12 == 12 &&
               r15 == 15,
           "call %lu changed a register", number);
    look((uint64_t)rax);
    return rax;
}

static void unknown(uint64_t number)
{
    const uint64_t with[5] = {number, ~number, 0, 1, 2};

    expect(call(number, with) == -ENOSYS, "call %lu exists", number);
    if (number % (ATOLL_BAD_CALLS_MAX / 2) == 0)
        atoll_null(); /* or it would be too many in a row */
}

CASE(a04)
{
    uint64_t with[5];

    if (variant() == 1) {
        farewell();
        for (unsigned i = 0; i < 2 * ATOLL_BAD_CALLS_MAX; i++)
            atoll_call0(CALLS + i);
        return;
    }
    for (uint64_t number = CALLS; number < NUMBERS; number += number < 1024 ? 1 : 31)
        unknown(number);
    for (unsigned bit = 8; bit < 64; bit++)
        unknown(BIT(bit)); /* a number that is 0 in its low byte */
    unknown(UINT64_MAX);
    atoll_null();
    for (uint64_t number = 0; number < CALLS; number++) {
        /* it would end or sleep, or write where it is told to, as it may */
        if (number == ATOLL_CALL_EXIT || number == ATOLL_CALL_SLEEP_UNTIL ||
            number == ATOLL_CALL_SLEEP_FOR)
            continue;
        for (unsigned round = 0; round < ROUNDS; round++) {
            for (size_t i = 0; i < ARRAY_SIZE(with); i++)
                with[i] = random_next() | BIT(40); /* beyond all RAM */
            int64_t result = call(number, with);
            expect(result > -ENOSYS_MAX, "call %lu answers %ld", number, result);
        }
    }
}
