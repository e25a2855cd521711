/* SPDX-License-Identifier: MIT */
/* The table that ATTEMPT fills: where its instructions are, and what follows them. */
#include "guests/lib/exceptions.h"

struct fixup {
    uint64_t fault, resume; /* addresses of instructions */
};

extern const struct fixup fixups_start[], fixups_end[]; /* the linker script's */

uint64_t exception_fixup(uint64_t rip)
{
    for (const struct fixup *f = fixups_start; f < fixups_end; f++) {
        if (f->fault == rip)
            return f->resume;
    }
    return 0;
}
