/* SPDX-License-Identifier: MIT */
/* A02: each VMX instruction, at CPL 0 and at CPL 3. Expected: #UD. */
#include "tests/hostile/hostile.h"

static uint8_t region[PAGE_SIZE] __attribute__((aligned(4096)));
static int got[11];

static void try_all(void *unused)
{
    int *at = got;

    (void)unused;
    *at++ = ATTEMPT("vmxon %0", : : "m"(region));
    *at++ = ATTEMPT("vmxoff", : :);
    *at++ = ATTEMPT("vmclear %0", : : "m"(region));
    *at++ = ATTEMPT("vmptrld %0", : : "m"(region));
    *at++ = ATTEMPT("vmptrst %0", : "+m"(region) :);
    *at++ = ATTEMPT("vmread %%rax, %%rdx", : : "a"(0) : "rdx");
    *at++ = ATTEMPT("vmwrite %%rdx, %%rax", : : "a"(0), "d"(0));
    *at++ = ATTEMPT("vmlaunch", : :);
    *at++ = ATTEMPT("vmresume", : :);
    *at++ = ATTEMPT("invept %0, %1", : : "m"(region), "r"(2ul));
    *at++ = ATTEMPT("invvpid %0, %1", : : "m"(region), "r"(2ul));
}

CASE(a02)
{
    try_all(NULL);
    for (size_t i = 0; i < ARRAY_SIZE(got); i++)
        expect(got[i] == VECTOR_UD, "instruction %zu at CPL 0: %s", i, exception_name(got[i]));
    memset(got, 0, sizeof(got));
    user_run(try_all, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(got); i++)
        expect(got[i] == VECTOR_UD, "instruction %zu at CPL 3: %s", i, exception_name(got[i]));
    for (size_t i = 0; i < sizeof(region); i++)
        expect(region[i] == 0, "VMPTRST wrote byte %zu", i);
}
