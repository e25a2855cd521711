/* SPDX-License-Identifier: MIT */
/* A guest that asks for signals to its core without end (signal=N of enum atoll_probe), for ms=N
 * milliseconds, with gap=N microseconds of computing after each. Two of them on two cores ask each
 * other's core at the same time. */
#include "guests/lib/guest.h"

int main(void)
{
    uint64_t signal = guest_option_number("signal", ATOLL_PROBE_INTERRUPT);
    uint64_t gap = guest_option_number("gap", 0);
    uint64_t end = now_ns() + guest_option_number("ms", 50) * 1000000;
    unsigned sent = 0;

    while (now_ns() < end) {
        sent += atoll_probe(signal) == 0;
        spin_us(gap);
    }
    printf("%u signals\n", sent);
    return sent == 0;
}
