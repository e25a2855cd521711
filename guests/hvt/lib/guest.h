/* SPDX-License-Identifier: MIT */
/* The SDK for hvt guests: the one header that such a guest includes. A guest is `int main(void)`
 * and one HVT_DEVICES(...): it runs in 64-bit mode at CPL 0 on one vCPU, without interrupts, SSE
 * usable, its RAM identity-mapped, and the value that main returns is its exit status. */
#ifndef GUESTS_HVT_LIB_GUEST_H
#define GUESTS_HVT_LIB_GUEST_H

#include "atoll/hvt.h"

#include "guests/lib/both.h"

#include "guests/hvt/lib/calls.h"
#include "guests/hvt/lib/manifest.h"

#define PRINTF_MAX 1024 /* of a text that is longer, printf writes the first bytes, in one call */

/* Says so, and ends the guest with HVT_ABORT. */
_Noreturn void guest_abort(const char *reason);

const struct hvt_boot_info *guest_boot_info(void);

/* The registers as the guest was entered with them (entry.asm). */
struct guest_entry {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rflags;
};
extern const struct guest_entry guest_entry;

/* The image's first address behind its last: what follows, up to the stack, is free. */
extern char image_end[];

/* The handle of the device of this name and type; 0: the manifest declares none. */
uint64_t device_handle(const char *name, enum hvt_device_type type);

/* What the hypervisor says about a device. */
const struct hvt_manifest_entry *device_info(uint64_t handle);

#endif
