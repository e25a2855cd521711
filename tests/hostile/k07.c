/* SPDX-License-Identifier: MIT */
/* K07: a bit of an EPT entry, of the allocator's or of a VM's record flips, a frame is mapped twice,
 * is lost, or is mapped though it is free: all that the hypervisor has in its list. Expected: the
 * audit of frames finds each. */
#include "tests/hostile/hostile.h"

#define FAULTS_MIN 15
#define PAUSE_MS   50 /* behind each: all wait while frames are audited */

CASE(k07)
{
    int64_t found;
    uint64_t number = 0;

    for (;; number++) {
        found = atoll_call3(ATOLL_CALL_PROBE, ATOLL_PROBE_FAULT, ATOLL_FAULT_FRAMES, number);
        if (found == -EINVAL)
            break;
        expect(found > 0, "fault %lu: %ld violations were found", number, found);
        sleep_ms(PAUSE_MS);
    }
    expect(number >= FAULTS_MIN, "only %lu faults", number);
}
