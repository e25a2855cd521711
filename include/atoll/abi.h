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
 * in the guest's RAM, else -EFAULT.
 *
 * Interrupts: each vCPU has a local APIC in x2APIC mode (SDM Vol. 3A 10.12), software-disabled at
 * start, with a timer of all three modes; there is no I/O APIC and no xAPIC page. HLT sleeps until
 * an interrupt comes. A VM all of whose vCPUs sleep where nothing can ever wake one ends with
 * HALTED_FOREVER. vCPU 0 starts by PVH, the others wait for INIT and SIPI or for
 * ATOLL_CALL_START_VCPU. The ACPI tables that hvm_start_info names list them (MADT). */
#ifndef ATOLL_ABI_H
#define ATOLL_ABI_H

#include <stdint.h>

#define ATOLL_ABI_VERSION 4

/* CPUID leaves. Leaf BASE+1: EAX the ABI version, EBX the number of this VM, ECX the number of this
 * vCPU, which is its x2APIC id, EDX the VM's vCPUs. Leaf BASE+2: EAX the features below. The TSC's
 * frequency is in leaves 0x15 and 0x16. */
#define ATOLL_CPUID_BASE     0x40000000u
#define ATOLL_CPUID_INFO     0x40000001u
#define ATOLL_CPUID_FEATURES 0x40000002u
#define ATOLL_CPUID_MAX      ATOLL_CPUID_FEATURES

#define ATOLL_FEATURE_INIT_SIPI                                                                    \
    (1u << 0) /* INIT and SIPI start a vCPU in real mode; without it, and                          \
                 as well as it, ATOLL_CALL_START_VCPU does */
#define ATOLL_FEATURE_APICV     (1u << 1) /* the processor delivers interrupts without exits */
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

    /* Sleeps until the guest's TSC reaches RDI. Returns 0, at once if it has; -EINTR when an
     * interrupt ended the sleep early (it is delivered behind the call). */
    ATOLL_CALL_SLEEP_UNTIL = 4,

    /* Sleeps for RDI nanoseconds. Returns 0, or -EINTR as above. */
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
     * waits; -EINVAL for another signal. Returns 0; the signal arrives a little later. With the
     * option `selftest=faults` RDI may be ATOLL_PROBE_FAULT: the hypervisor breaks itself. */
    ATOLL_CALL_PROBE = 8,

    /* Starts vCPU RDI at guest-physical RSI (below 4 GiB, in RAM) in the state of the PVH entry:
     * 32-bit protected mode, paging off, EBX = RDX (32 bits). Returns 0; -EINVAL for a vCPU that is
     * not there, -EBUSY for one that runs already, -EFAULT. INIT makes it wait again. */
    ATOLL_CALL_START_VCPU = 9,

    /* Fills the struct atoll_link_info at guest-physical RSI, RDX bytes long, for the guest's link
     * RDI (0 is the first `link=` of its module line). Returns the number of bytes written, or
     * -ENOENT when it has no such link. */
    ATOLL_CALL_LINK_INFO = 10,

    /* A doorbell on link RDI, and the death or arrival of a peer, interrupt the calling vCPU with
     * vector RSI (32 to 255; 0: no interrupt, the state at start). Returns 0, -ENOENT, -EINVAL. */
    ATOLL_CALL_LINK_VECTOR = 11,

    /* Rings peer RSI of link RDI (ATOLL_LINK_ALL: every other one): sets this guest's bit in what
     * the peer's LINK_POLL returns, and interrupts it if it asked for that. Rings that the peer has
     * not yet seen count as one. Returns 0; -ENOENT, -EINVAL for a peer that never was,
     * -EPIPE for one that is dead. */
    ATOLL_CALL_LINK_RING = 12,

    /* Returns a bit for each peer of link RDI that rang, came or died since the last such call.
     * -ENOENT. */
    ATOLL_CALL_LINK_POLL = 13,

    /* Operates on another VM: RDI an enum atoll_control, RSI its number. Only for guests whose
     * module line says `control` (else -EPERM). Returns 0; -ENOENT when there is no such VM, -EBUSY
     * or -EINVAL when its state does not allow it, -ENOMEM. The VM changes its state a little
     * later; ATOLL_CALL_VM_STATE tells. */
    ATOLL_CALL_CONTROL = 14,

    /* Fills the struct atoll_vm_state at guest-physical RSI, RDX bytes long, about VM RDI.
     * `control` guests only. Returns the number of bytes written, -ENOENT behind the last VM. */
    ATOLL_CALL_VM_STATE = 15,

    /* Takes up to RSI bytes of what an operator typed at this guest's console to guest-physical
     * RDI. Returns how many, 0 when there is nothing; -EFAULT. What is not fetched in time is lost:
     * ATOLL_CONSOLE_INPUT bytes wait at most. */
    ATOLL_CALL_CONSOLE_READ = 16,

    /* Typed bytes interrupt the calling vCPU with vector RDI (32 to 255; 0: no interrupt, the state
     * at start). Returns 0, -EINVAL. */
    ATOLL_CALL_CONSOLE_VECTOR = 17,

    /* Fills the struct atoll_device_info at guest-physical RSI, RDX bytes long, for device RDI (0
     * is the first `block:` or `net:` of the guest's module line). Returns the number of bytes
     * written, or -ENOENT when it has no such device. */
    ATOLL_CALL_DEVICE_INFO = 18,

    /* Reads R10 bytes at byte RSI of block device RDI to guest-physical RDX; both are multiples of
     * its block size, R10 at most ATOLL_BLOCK_MAX. Returns 0; -ENOENT when RDI is no block device,
     * -EINVAL for a place or a length that is not allowed, -EFAULT. */
    ATOLL_CALL_BLOCK_READ = 19,

    /* The same, but writes there what is in the guest's memory; -EROFS for a read-only device. */
    ATOLL_CALL_BLOCK_WRITE = 20,

    /* Takes the next frame of network device RDI to guest-physical RSI, RDX bytes long; what does
     * not fit there is lost. Returns the frame's bytes there; -EAGAIN when there is none, -ENOENT
     * when RDI is no network device, -EFAULT. */
    ATOLL_CALL_NET_READ = 21,

    /* Sends the Ethernet frame (with its header of ATOLL_NET_HEADER bytes, without a checksum) of
     * RDX bytes at guest-physical RSI by network device RDI. Returns 0, whether or not anybody
     * gets it; -EINVAL for one shorter than the header or longer than that and the device's MTU,
     * -ENOENT, -EFAULT. */
    ATOLL_CALL_NET_WRITE = 22,

    /* A frame for network device RDI interrupts the calling vCPU with vector RSI (32 to 255; 0: no
     * interrupt, the state at start): once, at once if one waits, for all that arrive until
     * NET_READ has answered -EAGAIN. Returns 0, -ENOENT, -EINVAL. */
    ATOLL_CALL_NET_VECTOR = 23,
};

#define ATOLL_LINK_ALL   (~0ull)
#define ATOLL_LINK_PEERS 64u          /* peers of a link at most */
#define ATOLL_LINK_PAGES 256u         /* pages of a link at most */
#define ATOLL_LINK_BASE  0xc0000000ull /* link n is at ATOLL_LINK_BASE + n * ATOLL_LINK_STRIDE */
#define ATOLL_LINK_STRIDE 0x100000ull

enum atoll_control {
    ATOLL_CONTROL_PAUSE = 0,   /* its vCPUs keep their state and do not run */
    ATOLL_CONTROL_RESUME = 1,
    ATOLL_CONTROL_STOP = 2,    /* ends it for good: no restart= applies */
    ATOLL_CONTROL_START = 3,   /* a stopped one starts again from its module */
};

enum atoll_run_state {
    ATOLL_VM_RUNNING = 0,
    ATOLL_VM_PAUSED = 1,
    ATOLL_VM_STOPPED = 2,
    ATOLL_VM_RESTARTING = 3, /* stopped, and about to start again by its restart= */
    ATOLL_VM_REFUSED = 4,    /* it never was */
};

struct atoll_vm_state {
    char name[32];
    uint32_t vm;
    uint32_t state;        /* enum atoll_run_state */
    uint32_t starts;       /* how often it was started */
    uint32_t status;       /* of its last EXIT */
    char reason[32];       /* why it stopped last, e.g. "GUEST_EXIT"; "" before */
    uint64_t run_ticks;    /* of its vCPUs since its start */
    uint64_t free_frames;  /* 4 KiB frames of the machine that are neither used nor reserved */
    uint32_t weight;
    uint32_t vcpus;
};

struct atoll_link_peer {
    char name[32];       /* of its VM */
    uint32_t vm;
    uint32_t generation; /* 0: never there; grows each time it comes */
    uint32_t alive;
    uint32_t writable;   /* it may write the shared pages */
};

struct atoll_link_info {
    char name[32];
    uint64_t address;    /* guest-physical, of the shared pages */
    uint32_t pages;
    uint32_t self;       /* this guest's number among the peers */
    uint32_t peers;      /* numbers 0 to peers - 1 have been given out */
    uint32_t writable;   /* may this guest write the pages? */
    struct atoll_link_peer peer[ATOLL_LINK_PEERS];
};

enum atoll_device_kind { ATOLL_DEVICE_BLOCK = 1, ATOLL_DEVICE_NET = 2 };

#define ATOLL_BLOCK_MAX  65536u /* bytes of one BLOCK_READ or BLOCK_WRITE */
#define ATOLL_NET_HEADER 14u    /* of a frame, before what the MTU counts */
#define ATOLL_MTU_MAX    9000u

struct atoll_device_info {
    char name[72];         /* of the module line's key, NUL-terminated */
    uint32_t kind;         /* enum atoll_device_kind */
    uint32_t block_size;   /* bytes; the rest of a block device: */
    uint64_t capacity;     /* bytes */
    uint32_t read_only;
    uint32_t mtu;          /* the rest of a network device: */
    uint8_t mac[8];        /* 6 bytes, then 0 */
    uint64_t received, received_dropped; /* frames for this device: those that NET_READ took, and
                                            those that found no room in its queue, were too long or
                                            still waited when the guest stopped */
    uint64_t sent, sent_dropped; /* frames that NET_WRITE took, and those among them that went
                                    nowhere: a false source address, or nobody else was there.
                                    All of these count over the guest's restarts */
};

#define ATOLL_CONSOLE_MAX 4096u
#define ATOLL_CONSOLE_INPUT 128u
#define ATOLL_BAD_CALLS_MAX 64u

enum atoll_probe {
    ATOLL_PROBE_INIT = 0,      /* an INIT: exits with reason 3 and is then ignored */
    ATOLL_PROBE_NMI = 1,       /* an NMI: exits with reason 0 and belongs to the host */
    ATOLL_PROBE_INTERRUPT = 2, /* an external interrupt: reason 1 */
    ATOLL_PROBE_FAULT = 16,    /* no signal: the fault RSI with the detail RDX */
};

enum atoll_fault {
    ATOLL_FAULT_EXCEPTION = 0, /* in the handler of this call: the hypervisor panics */
    ATOLL_FAULT_FRAMES = 1,    /* entry RDX of a list: a frame's owner is wrong, audited, mended.
                                  Returns how many violations were found; -EINVAL: no such entry */
    ATOLL_FAULT_VMCS = 2,      /* a field of the caller's VMCS, by encoding (RDX, 15:0), of which
                                  bit RDX >> 16 flips for good */
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
