/* SPDX-License-Identifier: MIT */
/* The three tables in one row. Numbers in brackets are sections of ACPI 6.4. */
#include "kernel/vm/guest_acpi.h"

#include <string.h>

#define LOCAL_APIC_ADDRESS 0xfee00000u
#define RSDP_REVISION      2
#define XSDT_REVISION      1
#define MADT_REVISION      5
#define MADT_LOCAL_APIC    0
#define MADT_CPU_ENABLED   1u
#define TABLE_REVISION     1 /* of these tables, for the oem's own use */

struct __attribute__((packed)) rsdp { /* [5.2.5.3] Root System Description Pointer */
    char signature[8];
    uint8_t checksum; /* of the fields until `length`, which were all in ACPI 1.0 */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum; /* of all */
    uint8_t reserved[3];
};
_Static_assert(sizeof(struct rsdp) == 36, "as ACPI lays it out");

struct __attribute__((packed)) header { /* [5.2.6] System Description Table Header */
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
};
_Static_assert(sizeof(struct header) == 36, "as ACPI lays it out");

struct __attribute__((packed)) xsdt { /* [5.2.8] Extended System Description Table */
    struct header header;
    uint64_t madt;
};

/* [5.2.12] Multiple APIC Description Table. Its flags are 0: there are no 8259s. */
struct __attribute__((packed)) madt {
    struct header header;
    uint32_t local_apic_address;
    uint32_t flags;
};

/* [5.2.12.2] Processor Local APIC. Ids below 255 must have this form, in x2APIC mode too
 * [5.2.12.12]. */
struct __attribute__((packed)) local_apic {
    uint8_t type;
    uint8_t length;
    uint8_t uid;
    uint8_t apic_id;
    uint32_t flags;
};

/* Each table begins at a multiple of 8 bytes from the first. */
#define XSDT_OFFSET ALIGN_UP(sizeof(struct rsdp), 8)
#define MADT_OFFSET (XSDT_OFFSET + ALIGN_UP(sizeof(struct xsdt), 8))
_Static_assert(MADT_OFFSET + sizeof(struct madt) == GUEST_ACPI_SIZE(0) &&
                   sizeof(struct local_apic) == GUEST_ACPI_SIZE(1) - GUEST_ACPI_SIZE(0),
               "the header knows the size");

/* The byte that makes the sum of all zero, where it was 0 itself. */
static uint8_t checksum(const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + byte[i]);
    return (uint8_t)-sum;
}

static struct header make_header(const char *signature, uint8_t revision, size_t length)
{
    struct header header = {
        .length = (uint32_t)length,
        .revision = revision,
        .oem_revision = TABLE_REVISION,
        .creator_revision = TABLE_REVISION,
    };
    memcpy(header.signature, signature, sizeof(header.signature));
    memcpy(header.oem_id, "ATOLL ", sizeof(header.oem_id));
    memcpy(header.oem_table_id, "GUEST   ", sizeof(header.oem_table_id));
    memcpy(header.creator_id, "ATOL", sizeof(header.creator_id));
    return header;
}

static void write_rsdp(uint8_t *at, uint64_t xsdt)
{
    struct rsdp rsdp = {.revision = RSDP_REVISION, .length = sizeof(rsdp), .xsdt = xsdt};

    memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
    memcpy(rsdp.oem_id, "ATOLL ", sizeof(rsdp.oem_id));
    rsdp.checksum = checksum(&rsdp, offsetof(struct rsdp, length));
    rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
    memcpy(at, &rsdp, sizeof(rsdp));
}

static void write_xsdt(uint8_t *at, uint64_t madt)
{
    struct xsdt xsdt = {.header = make_header("XSDT", XSDT_REVISION, sizeof(xsdt)), .madt = madt};

    xsdt.header.checksum = checksum(&xsdt, sizeof(xsdt));
    memcpy(at, &xsdt, sizeof(xsdt));
}

static void write_madt(uint8_t *at, uint32_t vcpus)
{
    size_t length = sizeof(struct madt) + vcpus * sizeof(struct local_apic);
    struct madt madt = {
        .header = make_header("APIC", MADT_REVISION, length),
        .local_apic_address = LOCAL_APIC_ADDRESS,
    };

    memcpy(at, &madt, sizeof(madt));
    for (uint32_t i = 0; i < vcpus; i++) {
        struct local_apic entry = {
            .type = MADT_LOCAL_APIC,
            .length = sizeof(entry),
            .uid = (uint8_t)i,
            .apic_id = (uint8_t)i,
            .flags = MADT_CPU_ENABLED,
        };
        memcpy(at + sizeof(madt) + i * sizeof(entry), &entry, sizeof(entry));
    }
    at[offsetof(struct header, checksum)] = checksum(at, length);
}

size_t guest_acpi_write(uint8_t *at, size_t room, uint64_t guest_address, uint32_t vcpus)
{
    if (vcpus > GUEST_ACPI_VCPUS_MAX || room < GUEST_ACPI_SIZE(vcpus))
        return 0;
    memset(at, 0, GUEST_ACPI_SIZE(vcpus));
    write_rsdp(at, guest_address + XSDT_OFFSET);
    write_xsdt(at + XSDT_OFFSET, guest_address + MADT_OFFSET);
    write_madt(at + MADT_OFFSET, vcpus);
    return GUEST_ACPI_SIZE(vcpus);
}
