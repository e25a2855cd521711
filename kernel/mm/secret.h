/* SPDX-License-Identifier: MIT */
/* A secret of the host for the suite of hostile guests (selftest=hostile): it lies in all free
 * memory, in a page that stays the host's and on the stack, and no guest may ever find it. */
#ifndef KERNEL_MM_SECRET_H
#define KERNEL_MM_SECRET_H

#include <stdint.h>

/* The secret word is the XOR of both, so that a guest that looks for it does not hold it itself. */
#define SECRET_MASK   0xc3a5965a3c785aa5ull
#define SECRET_MASKED 0x91f4d2b7e06c3819ull

/* Writes the secret into every free frame, and into one that is taken for good. */
void secret_plant(void);

#endif
