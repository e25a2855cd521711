/* SPDX-License-Identifier: MIT */
/* A guest's ACPI tables, read again by the parser with which Atoll reads the firmware's: for every
 * number of vCPUs, alone and as the start information has them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "kernel/acpi.h"
#include "kernel/lib/unaligned.h"
#include "kernel/vm/guest_acpi.h"
#include "kernel/vm/module_line.h"
#include "kernel/vm/start_info.h"

#define GUEST_ADDRESS 0x123456788ull
#define XSDT_OFFSET   40
#define MADT_OFFSET   88

/* What the guest has: `size` bytes at `address`. */
static struct {
    uint64_t address;
    size_t size;
    const uint8_t *bytes;
} window;

static struct acpi_info info;
static char error[ACPI_ERROR_MAX];

static const void *map(hpa_t address, size_t size)
{
    uint64_t offset = address.value - window.address;

    if (address.value < window.address || offset > window.size || size > window.size - offset)
        return NULL;
    return window.bytes + offset;
}

/* Reads the tables whose RSDP is at `rsdp` of the window; they have `vcpus` processors. */
static void check_tables(uint64_t rsdp, uint32_t vcpus)
{
    size_t offset = rsdp - window.address;

    if (acpi_parse(window.bytes + offset, window.size - offset, map, &info, error))
        fail_msg("%u vCPUs: %s", vcpus, error);
    assert_int_equal(info.cpu_count, vcpus);
    for (uint32_t i = 0; i < vcpus; i++)
        assert_int_equal(info.apic_ids[i], i);
    assert_int_equal(info.disabled_cpus, 0);
    assert_int_equal(info.local_apic_address, 0xfee00000);
    assert_string_equal(info.oem_id, "ATOLL");
    assert_false(info.has_fadt);
}

/* Writes the tables into a block of exactly their size. */
static uint8_t *write_exact(uint32_t vcpus)
{
    size_t size = GUEST_ACPI_SIZE(vcpus);
    uint8_t *tables = malloc(size);

    assert_non_null(tables);
    memset(tables, 0x5a, size);
    assert_int_equal(guest_acpi_write(tables, size, GUEST_ADDRESS, vcpus), size);
    window.address = GUEST_ADDRESS;
    window.size = size;
    window.bytes = tables;
    return tables;
}

static void test_every_number_of_vcpus(void **state)
{
    (void)state;
    for (uint32_t vcpus = 1; vcpus <= GUEST_ACPI_VCPUS_MAX; vcpus++) {
        uint8_t *tables = write_exact(vcpus);
        check_tables(GUEST_ADDRESS, vcpus);
        free(tables);
    }
}

/* What that parser does not ask: revisions, no RSDT, and that there is one table. */
static void test_rsdp_and_xsdt(void **state)
{
    (void)state;
    uint8_t *tables = write_exact(3);

    assert_int_equal(tables[15], 2);
    assert_int_equal(load_u32(tables + 16), 0);
    assert_int_equal(load_u32(tables + 20), 36);
    assert_int_equal(load_u64(tables + 24), GUEST_ADDRESS + XSDT_OFFSET);
    assert_int_equal(load_u32(tables + XSDT_OFFSET + 4), 36 + 8);
    assert_int_equal(tables[XSDT_OFFSET + 8], 1);
    assert_int_equal(load_u64(tables + XSDT_OFFSET + 36), GUEST_ADDRESS + MADT_OFFSET);
    free(tables);
}

static void test_madt(void **state)
{
    (void)state;
    uint8_t *tables = write_exact(3);
    const uint8_t *madt = tables + MADT_OFFSET;

    assert_memory_equal(madt, "APIC", 4);
    assert_int_equal(load_u32(madt + 4), 44 + 3 * 8);
    assert_int_equal(madt[8], 5);
    assert_int_equal(load_u32(madt + 40), 0); /* not PC-AT compatible: no 8259s */
    for (uint32_t i = 0; i < 3; i++) {
        const uint8_t entry[] = {0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0};
        assert_memory_equal(madt + 44 + 8 * i, entry, sizeof(entry));
    }
    free(tables);
}

static void test_no_room(void **state)
{
    (void)state;
    for (size_t room = 0; room < GUEST_ACPI_SIZE(2); room++) {
        uint8_t *tables = malloc(room + 1);
        assert_non_null(tables);
        tables[0] = 0x5a;
        assert_int_equal(guest_acpi_write(tables, room, GUEST_ADDRESS, 2), 0);
        assert_int_equal(tables[0], 0x5a);
        free(tables);
    }
}

static void test_room_behind_is_left_alone(void **state)
{
    uint8_t tables[GUEST_ACPI_SIZE(1) + 8];

    (void)state;
    memset(tables, 0x5a, sizeof(tables));
    assert_int_equal(guest_acpi_write(tables, sizeof(tables), 0, 1), GUEST_ACPI_SIZE(1));
    for (size_t i = GUEST_ACPI_SIZE(1); i < sizeof(tables); i++)
        assert_int_equal(tables[i], 0x5a);
}

static void test_too_many_vcpus(void **state)
{
    static uint8_t tables[GUEST_ACPI_SIZE(300)];

    (void)state;
    assert_int_equal(guest_acpi_write(tables, sizeof(tables), 0, 256), 0);
    assert_int_equal(guest_acpi_write(tables, sizeof(tables), 0, UINT32_MAX), 0);
    assert_int_equal(tables[0], 0);
}

/* A guest of 8 MiB whose image leaves it one page. */
#define RAM_SIZE (8 * MIB)
#define PAGE_AT  0x5000ull

static uint8_t page[PAGE_SIZE];

uint64_t guest_memory_low(const struct guest_memory *memory)
{
    (void)memory;
    return RAM_SIZE;
}

uint64_t guest_memory_high(const struct guest_memory *memory)
{
    (void)memory;
    return 0;
}

int guest_write(struct guest_memory *memory, gpa_t guest, const void *from, uint64_t length)
{
    (void)memory;
    assert_in_range(guest.value, PAGE_AT, PAGE_AT + PAGE_SIZE - 1);
    assert_true(length <= PAGE_AT + PAGE_SIZE - guest.value);
    memcpy(page + (guest.value - PAGE_AT), from, length);
    return 0;
}

static int write_start_info(uint32_t vcpus, const char *command_line)
{
    static const struct elf_image image = {
        .segment_count = 2,
        .segments = {
            {.address = {PAGE_SIZE}, .memory_size = PAGE_AT - PAGE_SIZE},
            {.address = {PAGE_AT + PAGE_SIZE}, .memory_size = RAM_SIZE - PAGE_AT - PAGE_SIZE},
        },
    };
    static struct guest_memory memory;
    gpa_t address;

    memset(page, 0, sizeof(page));
    int result = start_info_write(&memory, &image, command_line, vcpus, &address);
    if (result == 0)
        assert_int_equal(address.value, PAGE_AT);
    return result;
}

static void test_start_info(void **state)
{
    static char command_line[VM_COMMAND_LINE_MAX];
    struct hvm_start_info start;

    (void)state;
    memset(command_line, 'x', sizeof(command_line) - 1);
    for (uint32_t vcpus = 1; vcpus <= VM_VCPUS_MAX; vcpus++) {
        assert_int_equal(write_start_info(vcpus, command_line), 0);
        memcpy(&start, page, sizeof(start));
        assert_int_equal(start.magic, XEN_HVM_START_MAGIC_VALUE);
        assert_int_equal(start.version, 1);
        assert_int_equal(start.rsdp_paddr % 16, 0);
        window.address = PAGE_AT;
        window.size = sizeof(page);
        window.bytes = page;
        check_tables(start.rsdp_paddr, vcpus);
        assert_string_equal((char *)page + (start.cmdline_paddr - PAGE_AT), command_line);
    }
    assert_int_equal(write_start_info(VM_VCPUS_MAX + 1, ""), -EINVAL);
}

static void test_memory_map(void **state)
{
    static const struct hvm_memmap_table_entry wanted[] = {
        {0, PAGE_AT, XEN_HVM_MEMMAP_TYPE_RAM, 0},
        {PAGE_AT, PAGE_SIZE, XEN_HVM_MEMMAP_TYPE_RESERVED, 0},
        {PAGE_AT + PAGE_SIZE, RAM_SIZE - PAGE_AT - PAGE_SIZE, XEN_HVM_MEMMAP_TYPE_RAM, 0},
    };
    struct hvm_start_info start;

    (void)state;
    assert_int_equal(write_start_info(VM_VCPUS_MAX, ""), 0);
    memcpy(&start, page, sizeof(start));
    assert_int_equal(start.memmap_entries, ARRAY_SIZE(wanted));
    assert_memory_equal(page + (start.memmap_paddr - PAGE_AT), wanted, sizeof(wanted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_of_vcpus),
        cmocka_unit_test(test_rsdp_and_xsdt),
        cmocka_unit_test(test_madt),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_room_behind_is_left_alone),
        cmocka_unit_test(test_too_many_vcpus),
        cmocka_unit_test(test_start_info),
        cmocka_unit_test(test_memory_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
