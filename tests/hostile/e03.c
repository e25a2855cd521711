/* SPDX-License-Identifier: MIT */
/* E03: a write to the guest's own text, which only EPT forbids (its own tables allow it).
 * Expected: EPT_VIOLATION; n=1: to its constants. */
#include "tests/hostile/hostile.h"

extern char text_start[], rodata_start[]; /* guest.ld */

CASE(e03)
{
    char *target = variant() == 0 ? text_start : rodata_start;

    page_protect(target, PAGE_READ | PAGE_WRITE | PAGE_EXECUTE);
    farewell_at((uintptr_t)target);
    *(volatile char *)target = 0;
}
