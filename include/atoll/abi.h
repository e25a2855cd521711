/* SPDX-License-Identifier: MIT */
/* The guest ABI of Atoll: what the hypervisor and its guests agree on.
 *
 * Discovery: CPUID.1:ECX[31] (hypervisor present) is 1, and CPUID leaf ATOLL_CPUID_BASE answers
 * with the highest leaf in EAX and the signature ATOLL_SIGNATURE in EBX, ECX, EDX.
 *
 * Entry: the PVH boot ABI (Xen's docs/misc/pvh.pandoc): 32-bit protected mode, paging off, EBX the
 * guest-physical address of struct hvm_start_info (xen/arch-x86/hvm/start_info.h).
 *
 * Calls: VMCALL without prefixes in 64-bit mode at CPL 0; the number in RAX, arguments in RDI, RSI,
 * RDX, R10, R8; the result in RAX: a value, or a negative errno (linux/errno.h). All other
 * registers are preserved. From CPL 1-3 or outside 64-bit mode a call has no effect and returns
 * -EPERM. An unknown number returns -ENOSYS; ATOLL_BAD_CALLS_MAX of these in a row stop the guest
 * (BAD_HYPERCALL). Addresses in arguments are guest-physical; [address, address + length) must lie
 * in the guest's RAM, else -EFAULT. */
#ifndef ATOLL_ABI_H
#define ATOLL_ABI_H

#include <stdint.h>

#define ATOLL_ABI_VERSION 1

/* CPUID leaves. Leaf BASE+1: EAX the ABI version, EBX the number of this VM, ECX the number of this
 * vCPU, EDX the VM's vCPUs. The TSC's frequency is in leaves 0x15 and 0x16. */
#define ATOLL_CPUID_BASE 0x40000000u
#define ATOLL_CPUID_INFO 0x40000001u
#define ATOLL_CPUID_MAX  ATOLL_CPUID_INFO
#define ATOLL_SIGNATURE  "AtollAtoll\0" /* 12 bytes with the last NUL */

enum atoll_call {
    /* Does nothing. Returns 0. */
    ATOLL_CALL_NULL = 0,

    /* Writes RSI bytes (at most ATOLL_CONSOLE_MAX, else -EINVAL) at guest-physical RDI to the
     * guest's console. Whole lines appear in the log behind the guest's name; the rest waits for
     * its newline. Returns the number of bytes. */
    ATOLL_CALL_CONSOLE_WRITE = 1,

    /* Ends the guest with status RDI (0 to 255: 0 is success). Does not return. */
    ATOLL_CALL_EXIT = 2,

    /* Lets other vCPUs of this core run. Returns 0. */
    ATOLL_CALL_YIELD = 3,

    /* Sleeps until the guest's TSC reaches RDI. Returns 0, at once if it has. */
    ATOLL_CALL_SLEEP_UNTIL = 4,

    /* Sleeps for RDI nanoseconds. Returns 0. */
    ATOLL_CALL_SLEEP_FOR = 5,

    /* Fills the struct atoll_vm_info at guest-physical RDI, RSI bytes long; writes at most that
     * many. Returns the number of bytes written. */
    ATOLL_CALL_VM_INFO = 6,

    /* Returns the time of day in nanoseconds since 1970-01-01 00:00 UTC, from the real-time clock
     * at boot (whole seconds) and the TSC since; -ENODEV when the clock could not be read. */
    ATOLL_CALL_WALL_CLOCK = 7,

    /* Asks that another core sends the signal RDI (enum atoll_probe) to this core while the guest
     * runs. -ENOSYS unless the hypervisor was started with the option `tour`, -ENODEV when no
     * other core is there, and for an INIT on the boot processor; -EBUSY while another request
     * waits; -EINVAL for another signal. Returns 0; the signal arrives a little later. */
    ATOLL_CALL_PROBE = 8,
};

#define ATOLL_CONSOLE_MAX 4096u
#define ATOLL_BAD_CALLS_MAX 64u

enum atoll_probe {
    ATOLL_PROBE_INIT = 0,      /* an INIT: exits with reason 3 and is then ignored */
    ATOLL_PROBE_NMI = 1,       /* an NMI: exits with reason 0 and belongs to the host */
    ATOLL_PROBE_INTERRUPT = 2, /* an external interrupt: reason 1 */
};

struct atoll_vm_info {
    uint32_t abi_version;
    uint32_t vm;          /* number of this VM, from 0 */
    uint32_t vcpus;
    uint32_t physical_cpu; /* the core that this vCPU runs on now */
    uint64_t memory;      /* RAM in bytes, from guest-physical address 0 */
    uint64_t tsc_hz;
    uint64_t run_ticks;   /* TSC ticks this vCPU has run so far */
    char name[32];
};

#endif
