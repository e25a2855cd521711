/* SPDX-License-Identifier: MIT */
/* The MSR bitmap (SDM 24.6.9): exactly the bits of the allow-list are clear, in both halves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <linux/errno.h>

#include "kernel/lib/types.h"
#include "vmx/msr_bitmap.h"

static uint8_t bitmap[PAGE_SIZE];

/* As the processor looks it up. */
static bool exits(uint32_t msr, bool write)
{
    uint32_t part = (write ? 2048 : 0) + (msr >= 0xc0000000u ? 1024 : 0);
    return bitmap[part + (msr & 0x1fff) / 8] >> (msr % 8) & 1;
}

static bool listed(const uint32_t *msrs, size_t count, uint32_t msr)
{
    for (size_t i = 0; i < count; i++)
        if (msrs[i] == msr)
            return true;
    return false;
}

static void test_only_the_list_is_open(void **state)
{
    static const uint32_t msrs[] = {0, 0x174, 0x1fff, 0xc0000000u, 0xc0000100u, 0xc0001fffu};
    (void)state;
    assert_int_equal(msr_bitmap_build(bitmap, msrs, ARRAY_SIZE(msrs)), 0);
    for (uint32_t i = 0; i < 0x2000; i++) {
        for (int write = 0; write < 2; write++) {
            assert_int_equal(exits(i, write), !listed(msrs, ARRAY_SIZE(msrs), i));
            uint32_t high = 0xc0000000u + i;
            assert_int_equal(exits(high, write), !listed(msrs, ARRAY_SIZE(msrs), high));
        }
    }
}

static void test_others_cannot_be_opened(void **state)
{
    static const uint32_t outside[] = {0x2000, 0x40000000u, 0xbfffffffu, 0xc0002000u, 0xffffffffu};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
        assert_int_equal(msr_bitmap_build(bitmap, &outside[i], 1), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_list_is_open),
        cmocka_unit_test(test_others_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
