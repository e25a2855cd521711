/* SPDX-License-Identifier: MIT */
/* B11: PAE paging whose PDPTEs have reserved bits set. Expected: #GP in the guest, no failed
 * entry. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

CASE(b11)
{
    for (unsigned i = 0; i < 20; i++)
        expect(run32(pae_bad) == 1, "no #GP for reserved bits of a PDPTE");
}
