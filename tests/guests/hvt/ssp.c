/* SPDX-License-Identifier: MIT */
/* A stack protector's canary is overwritten: meson.build has the compiler put it there. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

uintptr_t __stack_chk_guard = 0xff0a0d00;

_Noreturn void __stack_chk_fail(void); /* called by the compiler's code */

_Noreturn void __stack_chk_fail(void)
{
    guest_abort("Stack corruption detected");
}

__attribute__((noinline, stack_protect)) static void overflow(size_t size)
{
    char buffer[16];
    char *to = buffer;

    __asm__("" : "+r"(to)); /* the compiler is not to know */
    memset(to, 'x', size);
    printf("%c\n", to[0]);
}

int main(void)
{
    overflow(8);
    overflow(40);
    printf("FAILURE\n");
    return 1;
}
