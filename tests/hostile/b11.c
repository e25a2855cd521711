/* SPDX-License-Identifier: MIT */
/* B11: PAE paging whose PDPTEs have reserved bits set, by a load of CR0 and by one of CR3.
 * Expected: #GP in the guest, no failed entry. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

CASE(b11)
{
    for (unsigned i = 0; i < 20; i++) {
        expect(run32(pae_bad) == 1, "CR0.PG: no #GP for reserved bits of a PDPTE");
        expect(run32(pae_bad_cr3) == 1, "CR3: no #GP for reserved bits of a PDPTE");
    }
}
