/* SPDX-License-Identifier: MIT */
/* E04: a call into data, which only EPT forbids. Expected: EPT_VIOLATION; n=1: into constants. */
#include "tests/hostile/hostile.h"

static uint8_t code_in_data[4096] __attribute__((aligned(4096))) = {0xc3}; /* RET */
static const uint8_t code_in_constants[16] __attribute__((aligned(16))) = {0xc3};

CASE(e04)
{
    const uint8_t *code = variant() == 0 ? code_in_data : code_in_constants;

    page_protect(code, PAGE_READ | PAGE_EXECUTE);
    farewell_at((uintptr_t)code);
    ((void (*)(void))(uintptr_t)code)();
}
