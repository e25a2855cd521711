/* SPDX-License-Identifier: MIT */
/* SSE: four products at once, and one of scalars; again and again for `ms=`. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

static bool multiply(void)
{
    float squares[4] __attribute__((aligned(16))) = {2, 5, 3, 8};
    volatile float product = 1.5f;

    __asm__("movaps %0, %%xmm1\n"
            "mulps %%xmm1, %%xmm1\n"
            "movaps %%xmm1, %0"
            : "+m"(squares)
            :
            : "xmm1");
    product *= 5;
    return squares[0] == 4 && squares[1] == 25 && squares[2] == 9 && squares[3] == 64 &&
           product == 7.5f;
}

int main(void)
{
    uint64_t end = now_ns() + guest_option_number("ms", 0) * 1000000;

    do {
        if (!multiply())
            return 1;
    } while (now_ns() < end);
    printf("SUCCESS\n");
    return 0;
}
