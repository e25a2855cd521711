/* SPDX-License-Identifier: MIT */
/* Solo5's hvt interface for x86-64, version 2, as hypervisor and guests see it: layouts and numbers
 * only. Source: Solo5's include/hvt_abi.h, include/elf_abi.h and include/mft_abi.h (v0.12.1).
 *
 * A guest is an ELF with two notes: its ABI, and a manifest of the devices that it needs. It enters
 * in 64-bit mode on an identity map, with the address of struct hvt_boot_info in RDI. It calls by
 * `out dx, eax`: DX = HVT_PORT + number, EAX the guest-physical address of the call's structure,
 * in which results are written too. */
#ifndef ATOLL_HVT_H
#define ATOLL_HVT_H

#include <stdint.h>

/* ---- The image */

#define HVT_NOTE_NAME     "Solo5" /* with its NUL, padded to 8 bytes in the note */
#define HVT_NOTE_ABI      0x31494241u /* "ABI1"; its content is aligned to 4 in the file */
#define HVT_NOTE_MANIFEST 0x3154464du /* "MFT1"; its content is aligned to 8 */
#define HVT_ABI_TARGET    1u
#define HVT_ABI_VERSION   2u

struct hvt_abi {
    uint32_t target;  /* HVT_ABI_TARGET */
    uint32_t version; /* HVT_ABI_VERSION */
    uint32_t reserved[2];
};

#define HVT_MANIFEST_VERSION 1u
#define HVT_MANIFEST_MAX     64u /* entries, the reserved first one included */
#define HVT_NAME_MAX         68u /* with the NUL */

enum hvt_device_type {
    HVT_DEVICE_BLOCK = 1,
    HVT_DEVICE_NET = 2,
    HVT_DEVICE_RESERVED = 0x40000000, /* entry 0, without a name */
};

struct hvt_manifest_entry {
    char name[HVT_NAME_MAX];
    uint32_t type; /* enum hvt_device_type */
    union {
        struct {
            uint64_t capacity; /* bytes */
            uint16_t block_size;
        } block;
        struct {
            uint8_t mac[6];
            uint16_t mtu;
        } net;
    };
    uint64_t host_private; /* 0 */
    uint8_t attached;      /* 0 in the file; 1 in the copy that the guest gets */
    uint8_t padding[7];
};
_Static_assert(sizeof(struct hvt_manifest_entry) == 104, "hvt ABI");

struct hvt_manifest {
    uint32_t version; /* HVT_MANIFEST_VERSION */
    uint32_t entries; /* 1 to HVT_MANIFEST_MAX */
    struct hvt_manifest_entry entry[]; /* a device's handle is its index */
};

/* ---- Memory at start. RAM is [0, mem_size), identity-mapped. */

#define HVT_GDT             0x1000u  /* null, code, data */
#define HVT_PML4            0x2000u
#define HVT_PDPT            0x3000u
#define HVT_PD              0x4000u  /* four of them */
#define HVT_PT              0x8000u  /* of the first 2 MiB */
#define HVT_BOOT_INFO       0x10000u /* then the manifest, then the command line */
#define HVT_IMAGE_START     0x100000u
#define HVT_COMMAND_LINE_MAX 8192u   /* with the NUL */

struct hvt_boot_info {
    uint64_t mem_size;
    uint64_t kernel_end; /* behind the last segment that has bytes in the file */
    uint64_t tsc_hz;
    uint64_t command_line; /* guest-physical, as the next */
    uint64_t manifest;
    uint32_t host_features; /* 0 */
    uint32_t guest_features;
    uint64_t net_ring; /* 0: absent */
};
_Static_assert(sizeof(struct hvt_boot_info) == 56, "hvt ABI");

/* ---- Calls */

#define HVT_PORT 0x500u

enum hvt_call {
    HVT_CALL_WALLTIME = 1,
    HVT_CALL_PUTS = 2,
    HVT_CALL_POLL = 3,
    HVT_CALL_BLOCK_WRITE = 4,
    HVT_CALL_BLOCK_READ = 5,
    HVT_CALL_NET_WRITE = 6,
    HVT_CALL_NET_READ = 7,
    HVT_CALL_HALT = 8,
};

enum hvt_result {
    HVT_OK = 0,
    HVT_AGAIN = 1,
    HVT_INVALID = 2,
    HVT_UNSPECIFIED = 3,
};

struct hvt_walltime {
    uint64_t nanoseconds; /* out: since 1970-01-01 00:00 UTC */
};

struct hvt_puts {
    uint64_t data; /* guest-physical, as all of this name */
    uint64_t length;
};

struct hvt_poll {
    uint64_t timeout; /* nanoseconds from now on */
    uint64_t ready;   /* out: bit n: device n has a frame */
    int32_t result;   /* out: how many devices have one */
};

struct hvt_block {
    uint64_t handle;
    uint64_t offset; /* bytes */
    uint64_t data;
    uint64_t length;
    int32_t result;  /* out: enum hvt_result */
};

struct hvt_net {
    uint64_t handle;
    uint64_t data;
    uint64_t length; /* of a read: in the buffer's, out the frame's */
    int32_t result;  /* out: enum hvt_result */
};

struct hvt_halt {
    uint64_t cookie;     /* of an abort: struct hvt_trap, or 0 */
    int32_t exit_status; /* 0 success, 1 failure, HVT_ABORT */
};

#define HVT_ABORT       255
#define HVT_COOKIE_SIZE 512u /* readable at a cookie */

/* What Solo5's own trap handler leaves at the cookie. */
struct hvt_trap {
    uint64_t cr2, error_code, rip, cs, rflags, rsp, ss;
};

#endif
