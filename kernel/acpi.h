/* SPDX-License-Identifier: MIT */
/* The ACPI tables that Atoll needs (ACPI 6.4, chapter 5): RSDP, XSDT or RSDT, MADT, FADT, and of
 * the DSDT only the \_S5 package. Firmware is untrusted: signatures, lengths and checksums are
 * verified, and no byte is read that `map` did not grant. Pure: runs on the host in tests. */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include "kernel/lib/types.h"

#define ACPI_CPUS_MAX  1024
#define ACPI_ERROR_MAX 160

/* Returns a pointer to `size` readable bytes at a physical address, or NULL. */
typedef const void *acpi_map_fn(hpa_t address, size_t size);

struct acpi_info {
    uint32_t cpu_count;              /* enabled processors, in MADT order, without duplicates */
    uint32_t disabled_cpus;          /* entries skipped: not enabled (online-capable ones are not
                                        there yet), or with the broadcast id */
    uint32_t apic_ids[ACPI_CPUS_MAX]; /* xAPIC (8 bits) or x2APIC (32 bits) ids */
    uint32_t dropped_cpus;           /* enabled ones above ACPI_CPUS_MAX */
    uint64_t local_apic_address;     /* MADT, or its 64-bit override */

    char oem_id[7];                  /* of the RSDP, printable, NUL-terminated */

    bool has_fadt;
    uint32_t pm_timer_port;          /* 0: none (FADT X_PM_TMR_BLK or PM_TMR_BLK, I/O space) */
    bool pm_timer_32bit;
    uint32_t pm1a_control_port;      /* 0: none */
    uint32_t pm1b_control_port;      /* 0: none */
    bool has_s5;                     /* \_S5 was found: */
    uint8_t s5_sleep_type_a, s5_sleep_type_b;
    bool has_reset_register;         /* in I/O space: */
    uint32_t reset_port;
    uint8_t reset_value;
    bool i8042_absent;               /* FADT boot flags say that there is no 8042 (rev >= 3) */
};

/* `rsdp` is the boot loader's copy (may be NULL, then EBDA and 0xe0000-0xfffff are searched).
 * Returns 0 when at least one enabled processor was found; or -ENOENT / -EINVAL and one line in
 * `error` that names the table and what is wrong with it. A FADT or DSDT that is missing or broken
 * is no error: the fields that depend on it stay zero. A broken XSDT: the RSDT is tried. */
MUST_CHECK int acpi_parse(const void *rsdp, size_t rsdp_size, acpi_map_fn *map,
                          struct acpi_info *info, char error[ACPI_ERROR_MAX]);

#endif
