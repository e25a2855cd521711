/* SPDX-License-Identifier: MIT */
/* What Atoll asks of the ACPI tables. The source of truth is ACPI 6.4, chapter 5; numbers in
 * brackets are its sections. Fields are read by offset, and a field behind the end of its table
 * reads as zero, so old and short tables need no special case. */
#include "kernel/acpi.h"
#include "kernel/lib/format.h"
#include "kernel/lib/unaligned.h"

#include <linux/errno.h>
#include <string.h>

#define TABLE_MAX (16 * MIB) /* a longer table is a broken length */

/* [5.2.5] Where a PC has its RSDP when the boot loader did not say. */
#define EBDA_SEGMENT_POINTER 0x40e
#define EBDA_LOWEST          0x400
#define EBDA_SEARCH_SIZE     KIB
#define BIOS_START           0xe0000
#define BIOS_SIZE            0x20000
#define RSDP_ALIGNMENT       16

enum { /* [5.2.5.3] Root System Description Pointer */
    RSDP_OEM_ID = 9,
    RSDP_REVISION = 15,
    RSDP_RSDT = 16,
    RSDP_1_SIZE = 20,
    RSDP_LENGTH = 20,
    RSDP_XSDT = 24,
    RSDP_2_SIZE = 36,
};

enum { /* [5.2.6] System Description Table Header */
    TABLE_LENGTH = 4,
    TABLE_REVISION = 8,
    TABLE_HEADER_SIZE = 36,
};

enum { /* [5.2.12] Multiple APIC Description Table */
    MADT_LOCAL_APIC_ADDRESS = 36,
    MADT_ENTRIES = 44,
};

enum madt_entry_type {
    MADT_LOCAL_APIC = 0,          /* [5.2.12.2] */
    MADT_LOCAL_APIC_OVERRIDE = 5, /* [5.2.12.8] */
    MADT_LOCAL_X2APIC = 9,        /* [5.2.12.12] */
};

#define MADT_CPU_ENABLED   BIT(0)
#define APIC_BROADCAST     0xffu       /* no processor has these ids */
#define X2APIC_BROADCAST   0xffffffffu

enum { /* [5.2.9] Fixed ACPI Description Table */
    FADT_DSDT = 40,
    FADT_PM1A_CONTROL = 64,
    FADT_PM1B_CONTROL = 68,
    FADT_PM_TIMER = 76,
    FADT_PM_TIMER_LENGTH = 91,
    FADT_BOOT_FLAGS = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REGISTER = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM1B_CONTROL = 184,
    FADT_X_PM_TIMER = 208,
};

#define FADT_FLAG_TIMER_32BIT     BIT(8)
#define FADT_FLAG_RESET_REGISTER  BIT(10)
#define FADT_FLAG_HARDWARE_REDUCED BIT(20)
#define FADT_BOOT_FLAG_8042       BIT(1)
#define FADT_BOOT_FLAGS_REVISION  3 /* the revision from which the boot flags count */
#define FADT_PM_TIMER_BYTES       4

enum { /* [5.2.3.2] Generic Address Structure */
    GAS_SPACE = 0,
    GAS_ADDRESS = 4,
};

#define GAS_SPACE_IO 1
#define PORT_MAX     0xffffu

enum aml_opcode { /* [20.3] */
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_WORD = 0x0b,
    AML_DWORD = 0x0c,
    AML_PACKAGE = 0x12,
    AML_ROOT = 0x5c,
};

#define SLEEP_TYPE_MAX 7 /* [4.8.3.2.1] SLP_TYPx has three bits */

/* Bytes that were mapped and verified. */
struct table {
    const uint8_t *bytes;
    size_t size;
};

struct parser {
    acpi_map_fn *map;
    struct acpi_info *info;
    char *error;
};

/* Writes the line that says what is wrong and returns `code`. */
#define refuse(parser, code, ...) \
    (snprintf((parser)->error, ACPI_ERROR_MAX, "ACPI: " __VA_ARGS__), (code))

static bool sums_to_zero(const uint8_t *bytes, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

/* Fields of a table; 0 behind its end. */
static uint64_t field(const struct table *table, size_t offset, size_t size)
{
    uint64_t value = 0;

    if (offset + size <= table->size)
        __builtin_memcpy(&value, table->bytes + offset, size);
    return value;
}

static bool has_signature(const uint8_t *bytes, const char *signature)
{
    return memcmp(bytes, signature, 4) == 0;
}

/* Maps the table with `signature` at `address` and verifies it. Returns 0, or -EINVAL. */
static int open_table(struct parser *parser, uint64_t address, const char *signature,
                      struct table *table)
{
    const uint8_t *header = parser->map(HPA(address), TABLE_HEADER_SIZE);
    if (!header)
        return refuse(parser, -EINVAL, "the %s at 0x%lx is not in readable memory", signature,
                      address);
    if (!has_signature(header, signature))
        return refuse(parser, -EINVAL, "no %s at 0x%lx: its signature is 0x%08x", signature,
                      address, load_u32(header));

    size_t size = load_u32(header + TABLE_LENGTH);
    if (size < TABLE_HEADER_SIZE || size > TABLE_MAX)
        return refuse(parser, -EINVAL, "the %s at 0x%lx claims 0x%zx bytes", signature, address,
                      size);

    const uint8_t *bytes = parser->map(HPA(address), size);
    if (!bytes)
        return refuse(parser, -EINVAL, "the %s at 0x%lx: 0x%zx bytes are not readable", signature,
                      address, size);
    if (!sums_to_zero(bytes, size))
        return refuse(parser, -EINVAL, "the %s at 0x%lx has a wrong checksum", signature, address);
    *table = (struct table){bytes, size};
    return 0;
}

/* The list of tables: an XSDT with 64-bit addresses, or an RSDT with 32-bit ones. */
struct root {
    struct table table;
    const char *name;
    size_t entry_size;
};

static int open_root(struct parser *parser, uint64_t address, bool extended, struct root *root)
{
    root->name = extended ? "XSDT" : "RSDT";
    root->entry_size = extended ? sizeof(uint64_t) : sizeof(uint32_t);
    return open_table(parser, address, root->name, &root->table);
}

/* Opens the first sound table with `signature`. Returns 0; -ENOENT when the root names none; or
 * what is wrong with the last broken one. */
static int find_table(struct parser *parser, const struct root *root, const char *signature,
                      struct table *table)
{
    int result = refuse(parser, -ENOENT, "the %s names no %s", root->name, signature);

    for (size_t offset = TABLE_HEADER_SIZE; offset + root->entry_size <= root->table.size;
         offset += root->entry_size) {
        uint64_t address = field(&root->table, offset, root->entry_size);
        const uint8_t *header = parser->map(HPA(address), TABLE_HEADER_SIZE);
        if (!header || !has_signature(header, signature))
            continue;
        result = open_table(parser, address, signature, table);
        if (result == 0)
            return 0;
    }
    return result;
}

static void add_cpu(struct acpi_info *info, uint32_t apic_id)
{
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        if (info->apic_ids[i] == apic_id)
            return;
    }
    if (info->cpu_count == ACPI_CPUS_MAX)
        info->dropped_cpus++;
    else
        info->apic_ids[info->cpu_count++] = apic_id;
}

static void read_cpu(struct acpi_info *info, uint32_t apic_id, uint32_t broadcast, uint32_t flags)
{
    if ((flags & MADT_CPU_ENABLED) && apic_id != broadcast)
        add_cpu(info, apic_id);
    else
        info->disabled_cpus++;
}

static void read_local_apic(struct acpi_info *info, const uint8_t *entry)
{
    read_cpu(info, entry[3], APIC_BROADCAST, load_u32(entry + 4));
}

static void read_local_apic_override(struct acpi_info *info, const uint8_t *entry)
{
    info->local_apic_address = load_u64(entry + 4);
}

static void read_local_x2apic(struct acpi_info *info, const uint8_t *entry)
{
    read_cpu(info, load_u32(entry + 4), X2APIC_BROADCAST, load_u32(entry + 8));
}

static const struct madt_reader {
    uint8_t type;
    uint8_t size; /* of the entry, at least */
    void (*read)(struct acpi_info *info, const uint8_t *entry);
} madt_readers[] = {
    {MADT_LOCAL_APIC,          8,  read_local_apic},
    {MADT_LOCAL_APIC_OVERRIDE, 12, read_local_apic_override},
    {MADT_LOCAL_X2APIC,        16, read_local_x2apic},
};

/* `size` bytes of `entry` are there. Returns false when its type needs more. */
static bool read_madt_entry(struct acpi_info *info, const uint8_t *entry, uint8_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(madt_readers); i++) {
        if (madt_readers[i].type != entry[0])
            continue;
        if (size < madt_readers[i].size)
            return false;
        madt_readers[i].read(info, entry);
    }
    return true;
}

static int read_madt(struct parser *parser, const struct table *madt)
{
    struct acpi_info *info = parser->info;

    if (madt->size < MADT_ENTRIES)
        return refuse(parser, -EINVAL, "the MADT (APIC) has only 0x%zx bytes", madt->size);
    info->local_apic_address = load_u32(madt->bytes + MADT_LOCAL_APIC_ADDRESS);

    for (size_t offset = MADT_ENTRIES; offset < madt->size;) {
        const uint8_t *entry = madt->bytes + offset;
        size_t left = madt->size - offset;
        uint8_t size = left < 2 ? 0 : entry[1];

        if (size < 2 || size > left || !read_madt_entry(info, entry, size))
            return refuse(parser, -EINVAL,
                          "MADT (APIC): the entry of type %u at 0x%zx has %u bytes of 0x%zx",
                          entry[0], offset, size, left);
        offset += size;
    }
    if (info->cpu_count == 0)
        return refuse(parser, -ENOENT, "the MADT (APIC) has no enabled processor, and %u disabled",
                      info->disabled_cpus);
    return 0;
}

/* The address in a GAS if it is an I/O port, else 0. */
static uint32_t gas_port(const struct table *fadt, size_t offset)
{
    uint64_t address = field(fadt, offset + GAS_ADDRESS, 8);

    if (field(fadt, offset + GAS_SPACE, 1) != GAS_SPACE_IO || address > PORT_MAX)
        return 0;
    return (uint32_t)address;
}

/* A register block has an old 32-bit port and, further behind, a GAS that wins unless it is 0. */
static uint32_t fadt_port(const struct table *fadt, size_t old, size_t extended)
{
    if (field(fadt, extended + GAS_ADDRESS, 8) != 0)
        return gas_port(fadt, extended);

    uint64_t port = field(fadt, old, 4);
    return port > PORT_MAX ? 0 : (uint32_t)port;
}

/* [20.2.4] PkgLength: the top two bits of the first byte say how many bytes follow it. Returns how
 * many bytes the encoding has, 0 when it does not fit. */
static size_t aml_package_length(const uint8_t *aml, size_t size, size_t *length)
{
    size_t following = size > 0 ? aml[0] >> 6 : 0;

    if (size < 1 + following)
        return 0;
    *length = following == 0 ? aml[0] & 0x3f : aml[0] & 0x0f;
    for (size_t i = 0; i < following; i++)
        *length |= (size_t)aml[1 + i] << (4 + 8 * i);
    return 1 + following;
}

/* [20.2.3] A constant integer. Returns how many bytes it has, 0 when there is none. */
static size_t aml_integer(const uint8_t *aml, size_t size, uint32_t *value)
{
    static const struct {
        uint8_t opcode, bytes;
    } prefixes[] = {{AML_BYTE, 1}, {AML_WORD, 2}, {AML_DWORD, 4}};

    if (size == 0)
        return 0;
    *value = aml[0];
    if (aml[0] == AML_ZERO || aml[0] == AML_ONE)
        return 1;

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        size_t bytes = prefixes[i].bytes;
        if (aml[0] != prefixes[i].opcode || size < 1 + bytes)
            continue;
        *value = 0;
        __builtin_memcpy(value, aml + 1, bytes);
        return 1 + bytes;
    }
    return 0;
}

/* [7.4.2] Package {SLP_TYPa, SLP_TYPb, ...}; some firmware packs both into one number. */
static bool read_s5_package(struct acpi_info *info, const uint8_t *aml, size_t size)
{
    size_t length;
    size_t used = aml_package_length(aml, size, &length);
    if (used == 0 || length > size || length <= used)
        return false;

    const uint8_t *end = aml + length; /* the length counts its own bytes */
    uint8_t elements = aml[used];
    aml += used + 1;

    uint32_t a, b;
    used = aml_integer(aml, (size_t)(end - aml), &a);
    if (elements == 0 || used == 0)
        return false;
    aml += used;
    if (elements == 1) {
        b = a >> 8;
        a &= 0xff;
    } else if (aml_integer(aml, (size_t)(end - aml), &b) == 0) {
        return false;
    }
    if (a > SLEEP_TYPE_MAX || b > SLEEP_TYPE_MAX)
        return false;

    info->s5_sleep_type_a = (uint8_t)a;
    info->s5_sleep_type_b = (uint8_t)b;
    return true;
}

/* Finds Name (\_S5, Package ...) by its bytes: an interpreter for one name would be out of
 * proportion. */
static bool find_s5(struct acpi_info *info, const struct table *dsdt)
{
    const uint8_t *bytes = dsdt->bytes;

    for (size_t i = TABLE_HEADER_SIZE + 1; i + 5 <= dsdt->size; i++) {
        if (!has_signature(bytes + i, "_S5_") || bytes[i + 4] != AML_PACKAGE)
            continue;
        bool named = bytes[i - 1] == AML_NAME ||
                     (bytes[i - 1] == AML_ROOT && bytes[i - 2] == AML_NAME);
        if (named && read_s5_package(info, bytes + i + 5, dsdt->size - i - 5))
            return true;
    }
    return false;
}

static void read_dsdt(struct parser *parser, const struct table *fadt)
{
    const uint64_t addresses[] = {field(fadt, FADT_X_DSDT, 8), field(fadt, FADT_DSDT, 4)};
    struct table dsdt;

    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        if (addresses[i] == 0 || open_table(parser, addresses[i], "DSDT", &dsdt) != 0)
            continue;
        parser->info->has_s5 = find_s5(parser->info, &dsdt);
        return;
    }
}

static void read_fadt(struct parser *parser, const struct table *fadt)
{
    struct acpi_info *info = parser->info;
    uint64_t flags = field(fadt, FADT_FLAGS, 4);
    uint64_t revision = field(fadt, TABLE_REVISION, 1);

    info->has_fadt = true;
    if (revision >= FADT_BOOT_FLAGS_REVISION && fadt->size >= FADT_BOOT_FLAGS + 2)
        info->i8042_absent = !(field(fadt, FADT_BOOT_FLAGS, 2) & FADT_BOOT_FLAG_8042);

    if (flags & FADT_FLAG_RESET_REGISTER) {
        info->reset_port = gas_port(fadt, FADT_RESET_REGISTER);
        info->has_reset_register = info->reset_port != 0;
        info->reset_value = (uint8_t)field(fadt, FADT_RESET_VALUE, 1);
    }

    if (flags & FADT_FLAG_HARDWARE_REDUCED)
        return; /* [4.1] the PM registers are not there, and their fields mean nothing */
    info->pm1a_control_port = fadt_port(fadt, FADT_PM1A_CONTROL, FADT_X_PM1A_CONTROL);
    info->pm1b_control_port = fadt_port(fadt, FADT_PM1B_CONTROL, FADT_X_PM1B_CONTROL);
    if (field(fadt, FADT_PM_TIMER_LENGTH, 1) == FADT_PM_TIMER_BYTES)
        info->pm_timer_port = fadt_port(fadt, FADT_PM_TIMER, FADT_X_PM_TIMER);
    info->pm_timer_32bit = info->pm_timer_port && (flags & FADT_FLAG_TIMER_32BIT);
    read_dsdt(parser, fadt);
}

static void read_oem_id(struct acpi_info *info, const uint8_t *rsdp)
{
    size_t length = sizeof(info->oem_id) - 1;

    for (size_t i = 0; i < length; i++) {
        char c = (char)rsdp[RSDP_OEM_ID + i];
        info->oem_id[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    while (length > 0 && info->oem_id[length - 1] == ' ')
        info->oem_id[--length] = '\0';
}

static bool is_rsdp(const uint8_t *bytes, size_t size)
{
    return size >= RSDP_1_SIZE && memcmp(bytes, "RSD PTR ", 8) == 0 &&
           sums_to_zero(bytes, RSDP_1_SIZE);
}

/* The XSDT's address, or 0 when the RSDP is of ACPI 1.0 or its second part is broken. */
static uint64_t xsdt_address(const uint8_t *rsdp, size_t size)
{
    if (rsdp[RSDP_REVISION] < 2 || size < RSDP_2_SIZE)
        return 0;
    size_t length = load_u32(rsdp + RSDP_LENGTH);
    if (length < RSDP_2_SIZE || length > size || !sums_to_zero(rsdp, length))
        return 0;
    return load_u64(rsdp + RSDP_XSDT);
}

static const uint8_t *search_rsdp(const struct parser *parser, uint64_t start, size_t size,
                                  size_t *rsdp_size)
{
    const uint8_t *bytes = parser->map(HPA(start), size);
    if (!bytes)
        return NULL;

    for (size_t offset = 0; offset + RSDP_1_SIZE <= size; offset += RSDP_ALIGNMENT) {
        if (is_rsdp(bytes + offset, size - offset)) {
            *rsdp_size = size - offset;
            return bytes + offset;
        }
    }
    return NULL;
}

static const uint8_t *find_rsdp(const struct parser *parser, size_t *rsdp_size)
{
    const void *segment = parser->map(HPA(EBDA_SEGMENT_POINTER), sizeof(uint16_t));
    uint64_t ebda = segment ? (uint64_t)load_u16(segment) << 4 : 0;
    const uint8_t *rsdp = NULL;

    if (ebda >= EBDA_LOWEST)
        rsdp = search_rsdp(parser, ebda, EBDA_SEARCH_SIZE, rsdp_size);
    return rsdp ? rsdp : search_rsdp(parser, BIOS_START, BIOS_SIZE, rsdp_size);
}

/* Opens the XSDT, or the RSDT where that is missing or broken. */
static int find_root(struct parser *parser, const uint8_t *rsdp, size_t size, struct root *root)
{
    uint64_t xsdt = xsdt_address(rsdp, size);
    uint32_t rsdt = load_u32(rsdp + RSDP_RSDT);
    int result = refuse(parser, -EINVAL, "the RSDP names neither an XSDT nor an RSDT");

    if (xsdt != 0) {
        result = open_root(parser, xsdt, true, root);
        if (result == 0)
            return 0;
    }
    return rsdt != 0 ? open_root(parser, rsdt, false, root) : result;
}

static int read_tables(struct parser *parser, const struct root *root)
{
    struct table table;

    /* A broken FADT is no error, so its line must not stay: the MADT, read last, has the word. */
    if (find_table(parser, root, "FACP", &table) == 0)
        read_fadt(parser, &table);

    int result = find_table(parser, root, "APIC", &table);
    return result ? result : read_madt(parser, &table);
}

int acpi_parse(const void *rsdp, size_t rsdp_size, acpi_map_fn *map, struct acpi_info *info,
               char error[ACPI_ERROR_MAX])
{
    struct parser parser = {.map = map, .info = info, .error = error};
    struct root root;

    memset(info, 0, sizeof(*info));
    if (!rsdp) {
        rsdp = find_rsdp(&parser, &rsdp_size);
        if (!rsdp)
            return refuse(&parser, -ENOENT, "no RSDP in the EBDA nor in 0x%x-0x%x", BIOS_START,
                          BIOS_START + BIOS_SIZE - 1);
    } else if (!is_rsdp(rsdp, rsdp_size)) {
        return refuse(&parser, -EINVAL,
                      "the boot loader's RSDP (%zu bytes) has a wrong signature or checksum",
                      rsdp_size);
    }
    read_oem_id(info, rsdp);

    int result = find_root(&parser, rsdp, rsdp_size, &root);
    if (result == 0)
        result = read_tables(&parser, &root);
    if (result == 0)
        error[0] = '\0';
    return result;
}
