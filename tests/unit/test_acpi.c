/* SPDX-License-Identifier: MIT */
/* ACPI tables in a made-up physical memory where each table is a block of exactly its size: good
 * ones of several generations, each refusal, every truncation, every changed byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/acpi.h"

/* Physical memory: a few blocks. */
#define REGIONS_MAX 16

static struct region {
    uint64_t address;
    size_t size;
    uint8_t *bytes;
} regions[REGIONS_MAX];
static size_t region_count;

static struct acpi_info info;
static char error[ACPI_ERROR_MAX];

static const void *map(hpa_t address, size_t size)
{
    for (size_t i = 0; i < region_count; i++) {
        const struct region *region = &regions[i];
        uint64_t offset = address.value - region->address;
        if (address.value >= region->address && offset <= region->size &&
            size <= region->size - offset)
            return region->bytes + offset;
    }
    return NULL;
}

static void clear_memory(void)
{
    while (region_count > 0)
        free(regions[--region_count].bytes);
}

static uint8_t *place(uint64_t address, const void *bytes, size_t size)
{
    struct region *region = &regions[region_count++];

    assert_true(region_count <= REGIONS_MAX);
    *region = (struct region){address, size, malloc(size ? size : 1)};
    assert_non_null(region->bytes);
    memcpy(region->bytes, bytes, size);
    return region->bytes;
}

static struct region *region_at(uint64_t address)
{
    for (size_t i = 0; i < region_count; i++) {
        if (regions[i].address == address)
            return &regions[i];
    }
    fail_msg("nothing at 0x%lx", address);
    return NULL;
}

/* Tables under construction. */
struct table {
    uint8_t bytes[8192];
    size_t size;
};

static void poke(struct table *table, size_t offset, uint64_t value, size_t size)
{
    assert_true(offset + size <= sizeof(table->bytes));
    memcpy(table->bytes + offset, &value, size);
    if (table->size < offset + size)
        table->size = offset + size;
}

static void append(struct table *table, uint64_t value, size_t size)
{
    poke(table, table->size, value, size);
}

static void append_bytes(struct table *table, const void *bytes, size_t size)
{
    assert_true(table->size + size <= sizeof(table->bytes));
    memcpy(table->bytes + table->size, bytes, size);
    table->size += size;
}

static void begin(struct table *table, const char *signature, uint8_t revision)
{
    memset(table, 0, sizeof(*table));
    memcpy(table->bytes, signature, 4);
    poke(table, 8, revision, 1);
    memcpy(table->bytes + 10, "ATOLL TESTTEST", 14);
    table->size = 36;
}

static void sum(uint8_t *bytes, size_t size, size_t checksum)
{
    uint8_t total = 0;

    bytes[checksum] = 0;
    for (size_t i = 0; i < size; i++)
        total = (uint8_t)(total + bytes[i]);
    bytes[checksum] = (uint8_t)-total;
}

static void finish(struct table *table, uint64_t address)
{
    poke(table, 4, table->size, 4);
    sum(table->bytes, table->size, 9);
    place(address, table->bytes, table->size);
}

#define RSDT_AT   0x7fe1000u
#define XSDT_AT   0x7fe2000u
#define MADT_AT   0x7fe3000u
#define FADT_AT   0x7fe4000u
#define DSDT_AT   0x7fe5000u
#define OTHER_AT  0x7fe6000u
#define MADT_2_AT 0x7fe7000u
#define X_DSDT_AT 0x7fe8000u

static struct table madt, fadt;
static uint8_t rsdp[36];

static void set_rsdp(uint8_t revision, uint32_t rsdt, uint64_t xsdt)
{
    uint32_t length = sizeof(rsdp);

    memset(rsdp, 0, sizeof(rsdp));
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "BOCHS ", 6);
    rsdp[15] = revision;
    memcpy(rsdp + 16, &rsdt, 4);
    sum(rsdp, 20, 8);
    memcpy(rsdp + 20, &length, 4);
    memcpy(rsdp + 24, &xsdt, 8);
    sum(rsdp, 36, 32);
}

static void place_roots(void)
{
    struct table rsdt, xsdt;

    begin(&rsdt, "RSDT", 1);
    begin(&xsdt, "XSDT", 1);
    const uint32_t tables[] = {0x10, OTHER_AT, FADT_AT, MADT_AT}; /* the first is not in memory */
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        append(&rsdt, tables[i], 4);
        append(&xsdt, tables[i], 8);
    }
    finish(&rsdt, RSDT_AT);
    finish(&xsdt, XSDT_AT);
}

static void begin_madt(void)
{
    begin(&madt, "APIC", 4);
    append(&madt, 0xfee00000, 4);
    append(&madt, 1, 4);
}

static void add_lapic(uint8_t id, uint32_t flags)
{
    append(&madt, 0, 1);
    append(&madt, 8, 1);
    append(&madt, 0, 1);
    append(&madt, id, 1);
    append(&madt, flags, 4);
}

static void add_x2apic(uint32_t id, uint32_t flags)
{
    append(&madt, 9, 1);
    append(&madt, 16, 1);
    append(&madt, 0, 2);
    append(&madt, id, 4);
    append(&madt, flags, 4);
    append(&madt, 0, 4);
}

static void add_override(uint64_t address)
{
    append(&madt, 5, 1);
    append(&madt, 12, 1);
    append(&madt, 0, 2);
    append(&madt, address, 8);
}

static void add_io_apic(void)
{
    append(&madt, 1, 1);
    append(&madt, 12, 1);
    append(&madt, 0xfec0000000000000, 8);
    append(&madt, 0, 2);
}

static void poke_gas(size_t offset, uint8_t space, uint64_t address)
{
    poke(&fadt, offset, space, 1);
    poke(&fadt, offset + 1, 32, 1);
    poke(&fadt, offset + 4, address, 8);
}

/* As QEMU's: 116 bytes, revision 1 fields only. */
static void begin_fadt_1(void)
{
    begin(&fadt, "FACP", 1);
    poke(&fadt, 40, DSDT_AT, 4);
    poke(&fadt, 64, 0x604, 4);
    poke(&fadt, 76, 0x608, 4);
    poke(&fadt, 91, 4, 1);
    poke(&fadt, 112, 0x84a5, 4); /* bit 8 is clear: 24 bits */
}

/* Revision 5, with everything in the X_ fields and other numbers in the old ones. */
static void begin_fadt_5(void)
{
    begin(&fadt, "FACP", 5);
    poke(&fadt, 40, DSDT_AT, 4);
    poke(&fadt, 64, 0x1111, 4);
    poke(&fadt, 68, 0x2222, 4);
    poke(&fadt, 76, 0x3333, 4);
    poke(&fadt, 91, 4, 1);
    poke(&fadt, 109, 0x2, 2);
    poke(&fadt, 112, BIT(8) | BIT(10), 4);
    poke_gas(116, 1, 0xcf9);
    poke(&fadt, 128, 6, 1);
    poke(&fadt, 140, X_DSDT_AT, 8);
    poke_gas(172, 1, 0x1804);
    poke_gas(184, 1, 0x1904);
    poke_gas(208, 1, 0x1808);
    poke(&fadt, 267, 0, 1); /* 268 bytes */
}

#define S5_NAMED  "\x08_S5_\x12"
#define S5_SEABIOS S5_NAMED "\x06\x04\x00\x00\x00\x00"

static void place_dsdt(uint64_t address, const void *aml, size_t size)
{
    struct table dsdt;

    begin(&dsdt, "DSDT", 1);
    append_bytes(&dsdt, "\x10\x20\\_SB_", 7);
    append_bytes(&dsdt, aml, size);
    finish(&dsdt, address);
}

#define PLACE_DSDT(address, aml) place_dsdt((address), (aml), sizeof(aml) - 1)

/* Two processors, tables of ACPI 1.0. */
static void build_old(void)
{
    struct table other;

    clear_memory();
    set_rsdp(0, RSDT_AT, XSDT_AT); /* a revision 0 RSDP has no XSDT, whatever its bytes are */
    place_roots();
    begin(&other, "HPET", 1);
    finish(&other, OTHER_AT);
    begin_madt();
    add_lapic(0, 1);
    add_io_apic();
    add_lapic(1, 1);
    finish(&madt, MADT_AT);
    begin_fadt_1();
    finish(&fadt, FADT_AT);
    PLACE_DSDT(DSDT_AT, S5_NAMED "\x07\x04\x0a\x05\x01\x00\x00");
}

/* The same of ACPI 5. */
static void build_new(void)
{
    build_old();
    clear_memory();
    set_rsdp(2, RSDT_AT, XSDT_AT);
    place_roots();
    finish(&madt, MADT_AT);
    begin_fadt_5();
    finish(&fadt, FADT_AT);
    PLACE_DSDT(DSDT_AT, S5_NAMED "\x08\x04\x0a\x01\x0a\x02\x00\x00");
    PLACE_DSDT(X_DSDT_AT, S5_NAMED "\x08\x04\x0a\x07\x0a\x06\x00\x00");
}

/* Places a table anew that was changed since. */
static void replace(struct table *table, uint64_t address)
{
    struct region *region = region_at(address);

    poke(table, 4, table->size, 4);
    sum(table->bytes, table->size, 9);
    free(region->bytes);
    region->size = table->size;
    region->bytes = malloc(table->size);
    assert_non_null(region->bytes);
    memcpy(region->bytes, table->bytes, table->size);
}

/* Parses the RSDP's first `size` bytes in a block of that size. */
static int parse_rsdp(size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, rsdp, size);
    memset(error, 'E', sizeof(error));
    int result = acpi_parse(copy, size, map, &info, error);
    free(copy);

    assert_non_null(memchr(error, 0, sizeof(error)));
    assert_null(strchr(error, '\n'));
    assert_int_equal(result == 0, error[0] == '\0');
    assert_true(result != 0 || info.cpu_count > 0);
    return result;
}

static int parse(void)
{
    return parse_rsdp(rsdp[15] < 2 ? 20 : 36);
}

static void accepted(void)
{
    int result = parse();

    if (result != 0)
        fail_msg("%d: %s", result, error);
}

static void refused(int code, const char *words)
{
    int result = parse();

    if (result != code || !strstr(error, words))
        fail_msg("wanted %d and \"%s\", got %d and \"%s\"", code, words, result, error);
}

static void test_acpi_1(void **state)
{
    (void)state;
    build_old();
    accepted();
    assert_int_equal(info.cpu_count, 2);
    assert_int_equal(info.apic_ids[0], 0);
    assert_int_equal(info.apic_ids[1], 1);
    assert_int_equal(info.disabled_cpus, 0);
    assert_int_equal(info.local_apic_address, 0xfee00000);
    assert_string_equal(info.oem_id, "BOCHS");
    assert_true(info.has_fadt);
    assert_int_equal(info.pm_timer_port, 0x608);
    assert_false(info.pm_timer_32bit);
    assert_int_equal(info.pm1a_control_port, 0x604);
    assert_int_equal(info.pm1b_control_port, 0);
    assert_true(info.has_s5);
    assert_int_equal(info.s5_sleep_type_a, 5);
    assert_int_equal(info.s5_sleep_type_b, 1);
    assert_false(info.has_reset_register);
    assert_false(info.i8042_absent); /* revision 1 says nothing about it */
}

static void test_acpi_5(void **state)
{
    (void)state;
    build_new();
    accepted();
    assert_int_equal(info.cpu_count, 2);
    assert_int_equal(info.pm_timer_port, 0x1808);
    assert_true(info.pm_timer_32bit);
    assert_int_equal(info.pm1a_control_port, 0x1804);
    assert_int_equal(info.pm1b_control_port, 0x1904);
    assert_true(info.has_s5);
    assert_int_equal(info.s5_sleep_type_a, 7);
    assert_int_equal(info.s5_sleep_type_b, 6);
    assert_true(info.has_reset_register);
    assert_int_equal(info.reset_port, 0xcf9);
    assert_int_equal(info.reset_value, 6);
    assert_false(info.i8042_absent);
}

static void test_processors(void **state)
{
    (void)state;
    build_new();
    begin_madt();
    add_lapic(4, 1);
    add_lapic(4, 1);        /* twice */
    add_lapic(7, 0);        /* disabled */
    add_lapic(8, 2);        /* online-capable: not there yet */
    add_lapic(2, 3);
    add_lapic(255, 1);      /* the broadcast id */
    add_x2apic(4, 1);       /* the first one once more */
    add_x2apic(255, 1);     /* no broadcast among 32 bits */
    add_x2apic(0x12345, 1);
    add_x2apic(0x12346, 0);
    add_x2apic(0xffffffff, 1);
    replace(&madt, MADT_AT);
    accepted();

    const uint32_t wanted[] = {4, 2, 255, 0x12345};
    assert_int_equal(info.cpu_count, 4);
    assert_memory_equal(info.apic_ids, wanted, sizeof(wanted));
    assert_int_equal(info.disabled_cpus, 5);
    assert_int_equal(info.dropped_cpus, 0);
}

static void test_local_apic_override(void **state)
{
    (void)state;
    build_new();
    add_override(0x1fee00000);
    replace(&madt, MADT_AT);
    accepted();
    assert_int_equal(info.local_apic_address, 0x1fee00000);
}

static void test_unknown_madt_entries(void **state)
{
    (void)state;
    build_new();
    append_bytes(&madt, "\x7f\x02\x80\x03\xff", 5);
    add_lapic(9, 1);
    replace(&madt, MADT_AT);
    accepted();
    assert_int_equal(info.cpu_count, 3);
    assert_int_equal(info.apic_ids[2], 9);
}

static void test_more_processors_than_fit(void **state)
{
    static uint8_t bytes[44 + 16 * (ACPI_CPUS_MAX + 3)];

    (void)state;
    build_new();
    begin_madt();
    memcpy(bytes, madt.bytes, 44);
    for (uint32_t i = 0; i < ACPI_CPUS_MAX + 3; i++) {
        const uint32_t entry[] = {0x1009, 1000 + i, 1, 0};
        memcpy(bytes + 44 + 16 * i, entry, 16);
    }
    const uint32_t length = sizeof(bytes);
    memcpy(bytes + 4, &length, 4);
    sum(bytes, sizeof(bytes), 9);
    region_at(MADT_AT)->address = 0; /* out of the way */
    place(MADT_AT, bytes, sizeof(bytes));
    accepted();
    assert_int_equal(info.cpu_count, ACPI_CPUS_MAX);
    assert_int_equal(info.dropped_cpus, 3);
    assert_int_equal(info.apic_ids[ACPI_CPUS_MAX - 1], 1000 + ACPI_CPUS_MAX - 1);
}

static void test_no_processor(void **state)
{
    (void)state;
    build_new();
    begin_madt();
    add_lapic(0, 0);
    replace(&madt, MADT_AT);
    refused(-ENOENT, "no enabled processor, and 1 disabled");
}

static void test_broken_madt_entries(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } entries[] = {
        {"\x00", 1},                          /* half a header */
        {"\x00\x00", 2},                      /* would never end */
        {"\x7f\x01", 2},                      /* shorter than its header */
        {"\x7f\x03", 2},                      /* longer than the table */
        {"\x00\x08\x00\x05\x01\x00\x00", 7},  /* one byte is missing */
        {"\x00\x07\x00\x05\x01\x00\x00", 7},  /* too short for its type */
        {"\x05\x0b.........", 11},
        {"\x09\x0f.............", 15},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        build_new();
        append_bytes(&madt, entries[i].bytes, entries[i].size);
        replace(&madt, MADT_AT);
        refused(-EINVAL, "MADT (APIC): the entry of type");
    }

    build_new();
    madt.size = 43;
    replace(&madt, MADT_AT);
    refused(-EINVAL, "only 0x2b bytes");
}

static void test_broken_rsdp(void **state)
{
    (void)state;
    build_new();
    rsdp[0] ^= 1;
    refused(-EINVAL, "RSDP");
    build_new();
    rsdp[10] ^= 1;
    refused(-EINVAL, "RSDP (36 bytes) has a wrong signature or checksum");
    build_new();
    for (size_t size = 0; size < 20; size++)
        assert_int_equal(parse_rsdp(size), -EINVAL);
    for (size_t size = 20; size <= 36; size++) /* from here on an RSDP of ACPI 1.0 is in it */
        assert_int_equal(parse_rsdp(size), 0);

    build_new();
    set_rsdp(2, 0, 0);
    refused(-EINVAL, "neither an XSDT nor an RSDT");
}

/* The RSDT leads to another processor, to tell who was asked. */
static void build_two_roots(void)
{
    struct table rsdt, second;

    build_new();
    region_at(RSDT_AT)->address = 0;
    begin(&rsdt, "RSDT", 1);
    append(&rsdt, MADT_2_AT, 4);
    finish(&rsdt, RSDT_AT);
    begin(&second, "APIC", 1);
    append_bytes(&second, "\0\0\xe0\xfe\0\0\0\0\0\x08\0\x63\x01\0\0\0", 16);
    finish(&second, MADT_2_AT);
}

static void check_rsdt_was_used(void)
{
    accepted();
    assert_int_equal(info.cpu_count, 1);
    assert_int_equal(info.apic_ids[0], 0x63);
    assert_false(info.has_fadt);
}

static void test_broken_xsdt_gives_way_to_the_rsdt(void **state)
{
    (void)state;
    build_two_roots();
    accepted();
    assert_int_equal(info.cpu_count, 2); /* the XSDT is sound and wins */

    region_at(XSDT_AT)->bytes[36] ^= 1;
    check_rsdt_was_used();

    build_two_roots();
    memcpy(region_at(XSDT_AT)->bytes, "XSDX", 4);
    check_rsdt_was_used();

    build_two_roots();
    region_at(XSDT_AT)->bytes[7] = 1; /* 16 MiB and more */
    check_rsdt_was_used();

    build_two_roots();
    region_at(XSDT_AT)->address = 0; /* nothing is there */
    check_rsdt_was_used();

    build_two_roots();
    set_rsdp(2, RSDT_AT, 0);
    check_rsdt_was_used();

    build_two_roots();
    rsdp[33] ^= 1; /* the second checksum is wrong */
    check_rsdt_was_used();

    build_two_roots();
    set_rsdp(0, RSDT_AT, XSDT_AT);
    check_rsdt_was_used();
}

static void test_both_roots_broken(void **state)
{
    (void)state;
    build_new();
    region_at(XSDT_AT)->bytes[36] ^= 1;
    region_at(RSDT_AT)->bytes[36] ^= 1;
    refused(-EINVAL, "the RSDT at 0x7fe1000 has a wrong checksum");
    set_rsdp(2, 0, XSDT_AT);
    refused(-EINVAL, "the XSDT at 0x7fe2000 has a wrong checksum");
    set_rsdp(2, 0, 0xdeadbeef000);
    refused(-EINVAL, "the XSDT at 0xdeadbeef000 is not in readable memory");
    set_rsdp(2, MADT_AT, 0);
    refused(-EINVAL, "no RSDT at 0x7fe3000: its signature is 0x43495041");
}

static void test_madt_missing_or_broken(void **state)
{
    (void)state;
    build_new();
    region_at(MADT_AT)->address = 0;
    refused(-ENOENT, "the XSDT names no APIC");

    build_new();
    region_at(MADT_AT)->bytes[40] ^= 1;
    refused(-EINVAL, "the APIC at 0x7fe3000 has a wrong checksum");

    build_new();
    memcpy(region_at(MADT_AT)->bytes + 4, "\x23\0\0\0", 4);
    refused(-EINVAL, "the APIC at 0x7fe3000 claims 0x23 bytes");
    memcpy(region_at(MADT_AT)->bytes + 4, "\0\x10\0\0", 4);
    refused(-EINVAL, "0x1000 bytes are not readable");
    memcpy(region_at(MADT_AT)->bytes + 4, "\1\0\0\1", 4);
    refused(-EINVAL, "claims 0x1000001 bytes");
}

static void test_second_madt_when_the_first_is_broken(void **state)
{
    struct table broken;

    (void)state;
    build_new();
    begin(&broken, "APIC", 1);
    finish(&broken, OTHER_AT);
    region_at(OTHER_AT)->bytes[9] ^= 1;
    accepted();
    assert_int_equal(info.cpu_count, 2);
}

static void test_fadt_missing_or_broken_is_no_error(void **state)
{
    static const struct acpi_info zero;

    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        build_new();
        if (broken)
            region_at(FADT_AT)->bytes[50] ^= 1;
        else
            region_at(FADT_AT)->address = 0;
        accepted();
        size_t from = offsetof(struct acpi_info, has_fadt);
        assert_memory_equal((char *)&info + from, (const char *)&zero + from, sizeof(info) - from);
    }
}

static void test_x_fields(void **state)
{
    (void)state;
    build_new();
    poke_gas(172, 1, 0); /* zero: the old field counts */
    poke_gas(184, 0, 0xfe001000); /* in memory: none that Atoll can use */
    poke_gas(208, 1, 0x10000); /* no port has this number */
    replace(&fadt, FADT_AT);
    accepted();
    assert_int_equal(info.pm1a_control_port, 0x1111);
    assert_int_equal(info.pm1b_control_port, 0);
    assert_int_equal(info.pm_timer_port, 0);
    assert_false(info.pm_timer_32bit);

    build_old();
    poke(&fadt, 64, 0x10000, 4);
    poke(&fadt, 91, 0, 1); /* no timer */
    replace(&fadt, FADT_AT);
    accepted();
    assert_int_equal(info.pm1a_control_port, 0);
    assert_int_equal(info.pm_timer_port, 0);
}

static void test_reset_register(void **state)
{
    (void)state;
    build_new();
    poke(&fadt, 112, 0, 4); /* the flag is clear */
    replace(&fadt, FADT_AT);
    accepted();
    assert_false(info.has_reset_register);

    build_new();
    poke_gas(116, 0, 0xfed00000); /* in memory */
    replace(&fadt, FADT_AT);
    accepted();
    assert_false(info.has_reset_register);
    assert_int_equal(info.reset_port, 0);
}

static void test_boot_flags(void **state)
{
    (void)state;
    build_new();
    poke(&fadt, 109, 0xfffd, 2);
    replace(&fadt, FADT_AT);
    accepted();
    assert_true(info.i8042_absent);

    poke(&fadt, 8, 2, 1); /* an older revision says nothing */
    replace(&fadt, FADT_AT);
    accepted();
    assert_false(info.i8042_absent);

    poke(&fadt, 8, 5, 1);
    fadt.size = 110; /* neither does a table that ends before the flags do */
    replace(&fadt, FADT_AT);
    accepted();
    assert_false(info.i8042_absent);
}

static void test_hardware_reduced(void **state)
{
    (void)state;
    build_new();
    poke(&fadt, 112, BIT(8) | BIT(10) | BIT(20), 4);
    replace(&fadt, FADT_AT);
    accepted();
    assert_true(info.has_fadt);
    assert_int_equal(info.pm1a_control_port, 0);
    assert_int_equal(info.pm_timer_port, 0);
    assert_false(info.has_s5);
    assert_true(info.has_reset_register);
}

static void test_fadt_of_every_length(void **state)
{
    (void)state;
    build_new();
    struct table whole = fadt;
    for (size_t size = 36; size <= whole.size; size++) {
        fadt = whole;
        fadt.size = size;
        replace(&fadt, FADT_AT);
        accepted();
        assert_true(info.has_fadt);
        uint32_t old = size >= 68 ? 0x1111 : 0; /* until the X_ field is whole */
        assert_int_equal(info.pm1a_control_port, size >= 184 ? 0x1804 : old);
    }
}

static void test_dsdt_choice(void **state)
{
    (void)state;
    build_new();
    region_at(X_DSDT_AT)->bytes[36] ^= 1; /* broken: the old field is tried */
    accepted();
    assert_true(info.has_s5);
    assert_int_equal(info.s5_sleep_type_a, 1);

    region_at(DSDT_AT)->bytes[36] ^= 1;
    accepted();
    assert_false(info.has_s5);
}

static void test_s5_packages(void **state)
{
    static const struct {
        const char *aml;
        size_t size;
        int a, b; /* -1: not found */
    } cases[] = {
#define AML(text) text, sizeof(text) - 1
        {AML(S5_SEABIOS), 0, 0},
        {AML("\x08\\_S5_\x12\x06\x02\x0a\x05\x0a\x06"), 5, 6},
        {AML(S5_NAMED "\x04\x02\x01\x00"), 1, 0},
        {AML(S5_NAMED "\x0a\x02\x0b\x03\x00\x0c\x04\x00\x00\x00"), 3, 4},
        {AML(S5_NAMED "\x46\x00\x02\x0a\x02\x01"), 2, 1},         /* 2-byte PkgLength */
        {AML(S5_NAMED "\x87\x00\x00\x02\x0a\x02\x01"), 2, 1},     /* 3-byte */
        {AML(S5_NAMED "\xc8\x00\x00\x00\x02\x0a\x02\x01"), 2, 1}, /* 4-byte */
        {AML(S5_NAMED "\x05\x01\x0b\x05\x06"), 5, 6},             /* both in one number */
        {AML(S5_NAMED "\x04\x01\x0a\x05"), 5, 0},
        {AML("_S5_ is a name here" S5_SEABIOS), 0, 0},
        {AML("\x5c_S5_\x12\x06\x02\x0a\x01\x0a\x01" S5_NAMED "\x06\x02\x0a\x02\x0a\x03"), 2, 3},
        {AML(S5_NAMED "\x06\x02\x0a\x08\x0a\x00"), -1, -1},       /* SLP_TYP has three bits */
        {AML(S5_NAMED "\x06\x02\x0a\x00\x0a\x08"), -1, -1},
        {AML(S5_NAMED "\x06\x00\x0a\x01\x0a\x01"), -1, -1},       /* no elements */
        {AML(S5_NAMED "\x04\x02\x0a\x01\x0a\x01"), -1, -1},       /* ends before the second */
        {AML(S5_NAMED "\x01\x02\x0a\x01\x0a\x01"), -1, -1},       /* shorter than its own length */
        {AML(S5_NAMED "\x00\x02\x0a\x01\x0a\x01"), -1, -1},
        {AML(S5_NAMED "\x3f\x02\x0a\x01\x0a\x01"), -1, -1},       /* longer than the table */
        {AML(S5_NAMED "\x06\x02_ABC"), -1, -1},                   /* names, not numbers */
        {AML("\x08_S5_\x11\x06\x02\x0a\x01\x0a\x01"), -1, -1},    /* a buffer */
        {AML("\x09_S5_\x12\x06\x02\x0a\x01\x0a\x01"), -1, -1},    /* not a Name */
        {AML("\x08_S4_\x12\x06\x02\x0a\x01\x0a\x01"), -1, -1},
        {AML(""), -1, -1},
        {AML("\x08_S5_"), -1, -1},
        {AML(S5_NAMED), -1, -1},
        {AML(S5_NAMED "\xc0"), -1, -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        build_old();
        region_at(DSDT_AT)->address = 0;
        place_dsdt(DSDT_AT, cases[i].aml, cases[i].size);
        accepted();
        bool wanted = cases[i].a >= 0;
        if (info.has_s5 != wanted ||
            (wanted && (info.s5_sleep_type_a != cases[i].a || info.s5_sleep_type_b != cases[i].b)))
            fail_msg("case %zu: found %d, %u, %u", i, info.has_s5, info.s5_sleep_type_a,
                     info.s5_sleep_type_b);
    }
}

/* An aml byte string cut anywhere is survived, and found only when the package is whole. */
static void test_s5_of_every_length(void **state)
{
    static const char aml[] = S5_NAMED "\xc8\x00\x00\x00\x02\x0a\x02\x01";

    (void)state;
    for (size_t size = 0; size < sizeof(aml); size++) {
        build_old();
        region_at(DSDT_AT)->address = 0;
        place_dsdt(DSDT_AT, aml, size);
        accepted();
        assert_int_equal(info.has_s5, size == sizeof(aml) - 1);
    }
}

static void test_search_for_the_rsdp(void **state)
{
    static uint8_t bios[0x20000], ebda[1024];
    static const uint16_t segment = 0x9fc0;

    (void)state;
    build_new();
    assert_int_equal(acpi_parse(NULL, 0, map, &info, error), -ENOENT);
    assert_non_null(strstr(error, "no RSDP in the EBDA nor in 0xe0000-0xfffff"));

    uint8_t *placed = place(0xe0000, bios, sizeof(bios));
    memcpy(placed + 0x1238, rsdp, 36); /* not at a multiple of 16 */
    memcpy(placed + 0x3000, "RSD PTR but not one", 19);
    assert_int_equal(acpi_parse(NULL, 0, map, &info, error), -ENOENT);
    memcpy(placed + 0x15980, rsdp, 36);
    assert_int_equal(acpi_parse(NULL, 0, map, &info, error), 0);
    assert_int_equal(info.cpu_count, 2);
    assert_int_equal(info.reset_port, 0xcf9); /* by the XSDT */

    memset(placed, 0, sizeof(bios)); /* the last place: only the part of ACPI 1.0 fits */
    memcpy(placed + sizeof(bios) - 32, rsdp, 32);
    assert_int_equal(acpi_parse(NULL, 0, map, &info, error), 0);

    memset(placed, 0, sizeof(bios));
    place(0x40e, &segment, sizeof(segment));
    uint8_t *extended = place(0x9fc00, ebda, sizeof(ebda));
    assert_int_equal(acpi_parse(NULL, 0, map, &info, error), -ENOENT);
    memcpy(extended + 0x20, rsdp, 36);
    assert_int_equal(acpi_parse(NULL, 0, map, &info, error), 0);
    assert_int_equal(info.cpu_count, 2);
}

static void test_oem_id_is_printable(void **state)
{
    (void)state;
    build_new();
    memcpy(rsdp + 9, "A\n\x80 B ", 6);
    sum(rsdp, 20, 8);
    sum(rsdp, 36, 32);
    accepted();
    assert_string_equal(info.oem_id, "A?? B");
}

/* Every byte of every table takes other values, with a checksum that fits. */
static void test_changed_bytes_are_survived(void **state)
{
    static const uint64_t tables[] = {XSDT_AT, MADT_AT, FADT_AT, X_DSDT_AT};
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x12, 0x7f, 0x80, 0xff};

    (void)state;
    build_new();
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        struct region *region = region_at(tables[t]);
        for (size_t i = 0; i < region->size; i++) {
            uint8_t original = region->bytes[i];
            for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
                region->bytes[i] = values[j];
                if (i != 9)
                    sum(region->bytes, region->size, 9);
                int result = parse();
                assert_true(result == 0 || result == -EINVAL || result == -ENOENT);
            }
            region->bytes[i] = original;
            sum(region->bytes, region->size, 9);
        }
    }
    accepted();
}

/* Every table ends early: at first its memory, then its length agrees and the checksum fits. */
static void test_truncated_tables_are_survived(void **state)
{
    static const uint64_t tables[] = {XSDT_AT, RSDT_AT, MADT_AT, FADT_AT, DSDT_AT, X_DSDT_AT};

    (void)state;
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        build_new();
        size_t whole = region_at(tables[t])->size;
        for (size_t size = 0; size < whole; size++) {
            struct region *region;
            build_new();
            region = region_at(tables[t]);
            region->bytes = realloc(region->bytes, size ? size : 1);
            region->size = size;
            int result = parse();
            assert_int_equal(result == 0, tables[t] != MADT_AT);
            if (size < 36)
                continue;
            memcpy(region->bytes + 4, &(uint32_t){(uint32_t)size}, 4);
            sum(region->bytes, size, 9);
            result = parse();
            assert_true(result == 0 || result == -EINVAL || result == -ENOENT);
        }
    }
}

static int forget(void **state)
{
    (void)state;
    clear_memory();
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_acpi_1),
        TEST(test_acpi_5),
        TEST(test_processors),
        TEST(test_local_apic_override),
        TEST(test_unknown_madt_entries),
        TEST(test_more_processors_than_fit),
        TEST(test_no_processor),
        TEST(test_broken_madt_entries),
        TEST(test_broken_rsdp),
        TEST(test_broken_xsdt_gives_way_to_the_rsdt),
        TEST(test_both_roots_broken),
        TEST(test_madt_missing_or_broken),
        TEST(test_second_madt_when_the_first_is_broken),
        TEST(test_fadt_missing_or_broken_is_no_error),
        TEST(test_x_fields),
        TEST(test_reset_register),
        TEST(test_boot_flags),
        TEST(test_hardware_reduced),
        TEST(test_fadt_of_every_length),
        TEST(test_dsdt_choice),
        TEST(test_s5_packages),
        TEST(test_s5_of_every_length),
        TEST(test_search_for_the_rsdp),
        TEST(test_oem_id_is_printable),
        TEST(test_changed_bytes_are_survived),
        TEST(test_truncated_tables_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
