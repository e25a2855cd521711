/* SPDX-License-Identifier: MIT */
/* A04: calls of all numbers up to 70000 with any registers. Expected: an error for what there is
 * not, all registers but the result unchanged; n=1: too many in a row end the guest. */
#include "tests/hostile/hostile.h"

#define CALLS      24u
#define NUMBERS    70000u
#define ROUNDS     20
#define ENOSYS_MAX 200 /* an answer below 0 and above -this is an errno */

static void unknown(uint64_t number)
{
    static const uint64_t none[5];

    /* all registers of some, for the time that it takes */
    int64_t result = number % 8 ? atoll_call0(number) : call_expect(number, none);
    expect(result == -ENOSYS, "call %lu exists", number);
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
    for (uint64_t number = CALLS; number <= NUMBERS; number++)
        unknown(number);
    for (unsigned bit = 8; bit < 64; bit++)
        unknown(BIT(bit)); /* a number that is 0 in its low byte */
    unknown(UINT64_MAX);
    atoll_null();
    for (uint64_t number = 0; number < CALLS; number++) {
        /* it would end or sleep */
        if (number == ATOLL_CALL_EXIT || number == ATOLL_CALL_SLEEP_UNTIL ||
            number == ATOLL_CALL_SLEEP_FOR)
            continue;
        for (unsigned round = 0; round < ROUNDS; round++) {
            for (size_t i = 0; i < ARRAY_SIZE(with); i++)
                with[i] = random_next() | BIT(40); /* beyond all RAM */
            int64_t result = call_expect(number, with);
            expect(result > -ENOSYS_MAX, "call %lu answers %ld", number, result);
        }
    }
}
