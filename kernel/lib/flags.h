/* SPDX-License-Identifier: MIT */
/* Tests of a flag where it lies: of two instructions, where GCC 12 takes three and a register. */
#ifndef KERNEL_LIB_FLAGS_H
#define KERNEL_LIB_FLAGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool is_set(const uint32_t *word)
{
    bool set;
    __asm__ volatile("cmpl $0, %1" : "=@ccne"(set) : "m"(*word));
    return set;
}

/* As a relaxed atomic read. */
static inline bool is_true(const _Atomic bool *flag)
{
    bool set;
    __asm__ volatile("cmpb $0, %1" : "=@ccne"(set) : "m"(*flag));
    return set;
}

#endif
