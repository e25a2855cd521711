/* SPDX-License-Identifier: MIT */
/* The ACPI tables of a guest (ACPI 6.4, chapter 5): RSDP, XSDT and MADT, which tell it what
 * processors it has. There is no FADT: no ACPI hardware. Pure. */
#ifndef KERNEL_VM_GUEST_ACPI_H
#define KERNEL_VM_GUEST_ACPI_H

#include "kernel/lib/types.h"

#define GUEST_ACPI_VCPUS_MAX 255 /* local APIC ids 0 to 254: 255 is the broadcast */

/* Bytes of the tables: RSDP, XSDT of one entry, MADT of 8 bytes a vCPU. */
#define GUEST_ACPI_SIZE(vcpus) (40 + 48 + 44 + 8 * (vcpus))

/* Lays out at `at` the tables that the guest is to see at `guest_address`: the RSDP first. The
 * vCPUs are enabled processors; uid and local APIC id are the vCPU's index. Returns the bytes used,
 * GUEST_ACPI_SIZE(vcpus); or 0 and nothing is written when they are more than `room`, or with more
 * than GUEST_ACPI_VCPUS_MAX vCPUs. */
MUST_CHECK size_t guest_acpi_write(uint8_t *at, size_t room, uint64_t guest_address,
                                   uint32_t vcpus);

#endif
