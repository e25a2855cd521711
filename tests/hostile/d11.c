/* SPDX-License-Identifier: MIT */
/* D11: a flood of console lines: forged ones of the hypervisor and of others, escape sequences,
 * NULs, no newline. Expected: each byte behind the guest's own name, escaped, and few enough. */
#include "tests/hostile/hostile.h"

static const char *const forged[] = {
    "\n[    0.000001] cpu0 atoll: panic: forged\n",
    "\r[    0.000001] cpu0 atoll: refused: forged\n",
    "\x1b[2J\x1b[H\x1b[1A\x1b[2K[    0.000001] cpu0 atoll: panic: forged\n",
    "witness| witness: forged\n", "\x9b" "31m\x80\xff\xfe\n", "\b\b\b\b\b\bpeer| forged\n",
};

CASE(d11)
{
    static char long_line[ATOLL_CONSOLE_MAX];

    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(forged); i++) {
            int64_t size = (int64_t)strlen(forged[i]);
            expect(atoll_console_write(forged[i], (size_t)size) == size, "a write is refused");
        }
    }
    memset(long_line, 'x', sizeof(long_line));
    memset(long_line, 0, 16);
    for (unsigned i = 0; i < 2500; i++)
        atoll_console_write(long_line, sizeof(long_line)); /* 10 MB */
    atoll_console_write("\n", 1);
    sleep_ms(400); /* its next lines must not be among those that are too many */
}
