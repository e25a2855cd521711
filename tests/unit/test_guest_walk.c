/* SPDX-License-Identifier: MIT */
/* The walk over a guest's page tables: what differs between the modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/walk_model.h"

#define TABLE 0x1000u /* the directory or PML4, in page 1; the next tables lie behind it */

static void put(uint64_t table, unsigned index, uint64_t entry, size_t size)
{
    memcpy(guest.ram + table + index * size, &entry, size);
}

static void finds(uint64_t linear, uint64_t expected)
{
    struct vmx_vcpu vcpu = {.unrestricted = true};
    gpa_t found;
    assert_int_equal(vmx_translate(&vcpu, linear, &found), 0);
    assert_int_equal(found.value, expected);
}

static int set_up(void **state)
{
    (void)state;
    walk_model_start();
    guest.cr0 = CR0_PG;
    guest.cr3 = TABLE;
    guest.cr4 = guest.efer = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(guest.ram);
    return 0;
}

static void test_long_mode(void **state)
{
    (void)state;
    guest.efer = EFER_LMA;
    guest.cr3 = TABLE | 0x18; /* PCD and PWT are no address */
    put(TABLE, 1, 0x2001, 8);
    put(0x2000, 2, 0x3001, 8);
    put(0x3000, 3, 0x4001, 8);
    put(0x4000, 4, PTE_NX | 0x123456001, 8);
    finds(1ull << 39 | 2ull << 30 | 3 << 21 | 4 << 12 | 0x567, 0x123456567);
    put(0x3000, 5, 0x40000081, 8);
    finds(1ull << 39 | 2ull << 30 | 5 << 21 | 0x54321, 0x40054321);
}

static void test_32_bit(void **state)
{
    (void)state;
    guest.cr3 = 5ull << 32 | TABLE; /* of CR3 bits 31:12 are the directory's address */
    put(TABLE, 1, 0x2001, 4);
    put(0x2000, 2, 0x45678001, 4);
    finds(1 << 22 | 2 << 12 | 0x9ab, 0x456789ab);
}

/* Bit 7 of a directory's entry means a page of 4 MiB with CR4.PSE alone. */
static void test_large_pages(void **state)
{
    (void)state;
    put(TABLE, 1, 0x2081, 4);
    put(0x2000, 2, 0x45678001, 4);
    finds(1 << 22 | 2 << 12 | 0x9ab, 0x456789ab);
    guest.cr4 = CR4_PSE;
    put(TABLE, 1, 0x40000081 | 0x12 << 13, 4); /* bits 20:13: address bits 39:32 */
    finds(1 << 22 | 0x129ab, 0x12400129ab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_long_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_32_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_pages, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
