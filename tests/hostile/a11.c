/* SPDX-License-Identifier: MIT */
/* A11: INVD and WBINVD in a loop. Expected: no effect, and nothing that was written is lost. */
#include "tests/hostile/hostile.h"

#define WORDS 4096

static uint64_t words[WORDS];

CASE(a11)
{
    for (unsigned round = 0; round < 200; round++) {
        for (size_t i = round % 64; i < WORDS; i += 64)
            words[i] = round;
        expect_vector(ATTEMPT("invd", : : : "memory"), NO_EXCEPTION, "INVD");
        expect_vector(ATTEMPT("wbinvd", : : : "memory"), NO_EXCEPTION, "WBINVD");
        for (size_t i = round % 64; i < WORDS; i += 64)
            expect(words[i] == round, "word %zu is lost", i);
    }
}
