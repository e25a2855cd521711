/* SPDX-License-Identifier: MIT */
/* Model-specific registers by name (SDM Vol. 4). */
#ifndef VMX_MSR_NAMES_H
#define VMX_MSR_NAMES_H

#include <stdint.h>

/* One MSR, or a run of them that share a name and differ by their offset from `first`. */
struct msr_name {
    uint32_t first, last;
    const char *name;
};

/* The row that holds `msr`, or NULL. */
const struct msr_name *msr_name_find(uint32_t msr);

#endif
