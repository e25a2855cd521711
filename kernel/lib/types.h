/* SPDX-License-Identifier: MIT */
/* The types that every floor shares: guest and host physical addresses as two types that do not
 * mix, page sizes, and a few helpers that C lacks. */
#ifndef KERNEL_LIB_TYPES_H
#define KERNEL_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Physical addresses. Two struct types, so that the compiler refuses to take one for the other. */
typedef struct {
    uint64_t value;
} hpa_t; /* of the host: what the memory bus sees */

typedef struct {
    uint64_t value;
} gpa_t; /* of a guest: translated to a hpa_t by EPT only */

#define HPA(v) ((hpa_t){.value = (v)})
#define GPA(v) ((gpa_t){.value = (v)})

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define PAGE_SHIFT    12
#define PAGE_SIZE     (4 * KIB)
#define PAGE_MASK     (PAGE_SIZE - 1)
#define PAGE_SIZE_2M  (2 * MIB)

#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)    (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a)  ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a)  (((x) & ((a)-1)) == 0)
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define BIT(n)            (1ull << (n))

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
