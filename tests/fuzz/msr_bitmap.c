/* SPDX-License-Identifier: MIT */
/* Any list of MSRs opened for reads, writes or both: as the processor looks it up, exactly those
 * are open. An MSR is five bytes: its number, and what is opened. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "vmx/msr_bitmap.h"

#define OPEN_MAX 64
#define MSRS     0x2000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t wanted[PAGE_SIZE];
    struct input input = {data, size};
    struct {
        uint8_t before[16], bits[PAGE_SIZE], behind[16];
    } page;
    static const uint8_t guard[16] = {0xa5, 0x5a};

    memcpy(page.before, guard, sizeof(guard));
    memcpy(page.behind, guard, sizeof(guard));
    memset(wanted, 0xff, sizeof(wanted));
    require(msr_bitmap_build(page.bits, NULL, 0) == 0, "an empty list");
    for (unsigned i = 0; i < OPEN_MAX && input.left > 0; i++) {
        uint8_t how = (uint8_t)draw(&input, 1);
        uint32_t msr = (uint32_t)draw(&input, 4);
        if (how & 4)
            msr &= 0xc0003fffu; /* near the borders */
        uint32_t high = msr & 0xc0000000u;
        bool covered = (msr & 0x3fffffff) < MSRS && (high == 0 || high == 0xc0000000u);
        require(msr_bitmap_open(page.bits, msr, how & 1, how & 2) == (covered ? 0 : -EINVAL),
                "covered or not");
        for (unsigned write = 0; write < 2; write++) { /* SDM 24.6.9 */
            uint8_t *byte = wanted + write * 2048 + (high ? 1024 : 0) + msr % MSRS / 8;
            if (covered && how & (1 << write))
                *byte &= (uint8_t)~(1u << msr % 8);
        }
    }
    require(memcmp(page.bits, wanted, sizeof(wanted)) == 0, "a bit against the list");
    require(memcmp(page.before, guard, sizeof(guard)) == 0 &&
                memcmp(page.behind, guard, sizeof(guard)) == 0,
            "bytes beside the page");
    return 0;
}
