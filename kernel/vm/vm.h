/* SPDX-License-Identifier: MIT */
/* Virtual machines and their virtual processors, and the one verb for a guest's failure. */
#ifndef KERNEL_VM_VM_H
#define KERNEL_VM_VM_H

#include <atoll/hvt.h>
#include <sys/queue.h>

#include "kernel/lib/types.h"
#include "kernel/vm/guest_memory.h"
#include "kernel/vm/lifecycle.h"
#include "kernel/vm/link.h"
#include "kernel/vm/module_line.h"
#include "kernel/vm/run_queue.h"
#include "kernel/vm/stats.h"
#include "kernel/vm/timers.h"
#include "kernel/vm/vapic.h"
#include "kernel/vm/vm_index.h"
#include "vmx/vmx.h"

/* Why a VM ended. The names are part of the interface: tests and users read them. */
#define STOP_REASONS(X)  \
    X(NONE)              \
    X(GUEST_EXIT)        /* the guest's own call, with its status */ \
    X(GUEST_RESET)       /* it wrote to a reset port, or sent its boot vCPU an INIT */ \
    X(TRIPLE_FAULT)      \
    X(HALTED_FOREVER)    /* all its vCPUs sleep, and nothing can wake one */ \
    X(EPT_VIOLATION)     /* memory that is not the guest's, or not with that access */ \
    X(EPT_MISCONFIG)     \
    X(TASK_SWITCH)       \
    X(UNSUPPORTED_MODE)  /* a mode that this processor cannot give a guest */ \
    X(BAD_HYPERCALL)     /* too many unknown calls in a row; an hvt call with a bad address */ \
    X(BAD_IO_PORT)       /* of an hvt guest: I/O that is no call */ \
    X(BAD_INSTRUCTION)   /* of an hvt guest: HLT, VMCALL */ \
    X(ENTRY_FAIL_STATE)  /* exit 33: invalid guest state */ \
    X(ENTRY_FAIL_MSR)    /* exit 34 */ \
    X(ENTRY_FAIL_MCE)    /* exit 41 */ \
    X(VMFAIL)            /* VMLAUNCH or VMRESUME failed */ \
    X(UNHANDLED_EXIT)    /* an exit reason that Atoll does not expect */ \
    X(OPERATOR)          /* stopped from outside */

enum stop_reason {
#define X(name) STOP_##name,
    STOP_REASONS(X)
#undef X
};

/* What a sleeping vCPU waits for. */
enum vcpu_wait {
    WAIT_NOTHING,
    WAIT_INTERRUPT, /* HLT: an interrupt that can be delivered, an NMI */
    WAIT_TIME,      /* ATOLL_CALL_SLEEP_*: wake_tsc, or an interrupt as above */
    WAIT_FRAME,     /* an hvt guest's POLL: wake_tsc, or a frame for one of its network devices */
    WAIT_BUDGET,    /* cap=: the next period */
};

/* What one core asks of the one that has a vCPU: bits of vcpu->requests. Each also makes it look at
 * what has changed about the VM (paused, stopped) and at interrupts that were posted. */
enum vcpu_request {
    REQUEST_LOOK = 1u << 0,
    REQUEST_ARRIVE = 1u << 1, /* it was given to this core */
    REQUEST_INIT = 1u << 2,
    REQUEST_SIPI = 1u << 3,
    REQUEST_START = 1u << 4,  /* ATOLL_CALL_START_VCPU */
    REQUEST_BUSY = 1u << 5,   /* none: it is being served */
    REQUEST_INSPECT = 1u << 6, /* kernel/vm/inspect.h */
};

#define HEARS_ALL  (-1)
#define HEARS_NONE 15

struct vm;

/* Only the core that has it (`cpu`) reads and writes it, but for what is atomic. */
struct vcpu {
    struct vmx_vcpu vmx;         /* first: see exits.c; `attention`: to interrupts */
    struct vm *vm;
    struct stats *stats;         /* behind it in its page; NULL: compiled out */
    struct vapic apic;
    struct run_entry entry;      /* in the run queue of its core */
    struct timer timer;          /* ends its sleep */
    uint32_t index;              /* in its VM; its x2APIC id */
    _Atomic uint32_t cpu;        /* the core that has it */
    uint32_t stop_tsc;           /* while it runs: low half of the TSC at which its stay ends */
    _Atomic uint32_t requests;   /* enum vcpu_request: not 0 while it is in a mailbox */
    const _Atomic bool *mail_for_core; /* while it runs: does its core's mailbox hold something? */
    enum vcpu_state state;
    enum vcpu_wait wait;
    STAILQ_ENTRY(vcpu) mail;
    _Atomic int hears; /* interrupts whose priority class is above this are worth a request:
                          HEARS_ALL while it runs, a class while it sleeps, else
                          HEARS_NONE: it looks for them when it is picked */
    bool dormant;                /* not started, or asleep with nothing of its own to wake it */
    _Atomic uint8_t sipi_page;   /* of REQUEST_SIPI */
    uint8_t exit_status;         /* of its own EXIT */
    _Atomic bool nmi;            /* an NMI waits */
    _Atomic bool waits_for_frame; /* asleep in WAIT_FRAME: a frame is worth a request */
    bool wakes_by_interrupt, wakes_by_nmi; /* what is not blocked, when it went to sleep */
    bool woken;                  /* it is runnable since its last wake-up */
    bool yielded;                /* gives up the rest of its slice */
    bool interrupted;            /* its last exit was by an external interrupt */
    bool leaves_core;            /* it is to run on another core from now on */
    bool restart_core;           /* the core that it runs on must be started anew */
    _Atomic uint64_t start_at;   /* of REQUEST_START: entry | EBX << 32 */
    uint32_t bad_calls;          /* unknown hypercalls in a row */
    uint32_t inits;              /* exits by INIT in a row at init_rip */
    uint64_t init_rip;
    uint64_t hvt_done;           /* bytes of an hvt guest's PUTS that are out already */
    uint64_t hvt_poll;           /* of its POLL: the address of the structure */
    uint64_t wake_tsc;           /* of WAIT_TIME and WAIT_FRAME, host TSC */
    uint64_t run_ticks;          /* TSC ticks spent on a core, exits included */
    uint64_t slice_start;
    uint64_t owed;               /* ticks that cores spent on it outside its slices */
    int64_t budget;              /* cap=: ticks left of this period; may be overdrawn */
    uint64_t period_end;         /* cap=: host TSC */
    uint64_t budget_tsc;         /* of WAIT_BUDGET: when there is something left again */
    char name[VM_NAME_MAX + 4];  /* "ring-a.0", the subject of log lines */
};

struct console;
struct devices;

enum vm_state {
    VM_REFUSED,    /* its module was bad, and has been reported */
    VM_STOPPED,    /* it has no memory and no vCPUs; to be started, or for good */
    VM_ALIVE,
};

struct vm {
    uint32_t id;
    uint32_t record_frames;       /* of this record and what lies behind it, for all its lives */
    struct vm_config config;
    const void *file;             /* its module, for every start */
    size_t file_size;
    struct spinlock lock;         /* of `state`, and of who may post to the vCPUs from outside */
    enum vm_state state;
    _Atomic bool paused;
    bool restarting;              /* stopped, and its timer will start it */
    bool ended;                   /* stopped for good: no restart= applies */
    bool counted;                 /* in vms_alive() */
    _Atomic uint32_t stop_reason; /* enum stop_reason of this life; the first one wins */
    enum stop_reason last_reason; /* of the life before */
    uint8_t status;               /* of GUEST_EXIT */
    uint32_t starts, restarts;    /* ever; by restart= in a row */
    uint64_t started_tsc;         /* of this life */
    uint64_t restart_tsc;         /* when it starts again, while `restarting` */
    struct timer timer;           /* of the restart */
    uint16_t first_vpid;          /* of its vCPUs, for all its lives; 0: they have none */
    struct guest_memory memory;
    uint64_t tsc_offset;
    _Atomic uint32_t awake;       /* vCPUs not dormant, and those in mailboxes: 0 means for good */
    uint64_t vtime;               /* of its boot vCPU in its last life: debts outlive it */
    uint64_t start_cost, end_cost; /* ticks that its last start and its last end took */
    _Atomic uint32_t users;       /* vCPUs not yet stopped, and those in mailboxes: 0 ends it */
    struct link_place links[VM_LINKS_MAX];
    struct devices *devices;      /* for all its lives; NULL: none */
    bool hvt;                     /* a Solo5 hvt guest: its image says so (kernel/vm/hvt.h) */
    uint8_t hvt_handles;          /* entries of its manifest */
    uint8_t hvt_devices[HVT_MANIFEST_MAX]; /* by handle: the number of the device */
    uint64_t run_ticks;           /* of lives before */
    uint64_t overhead;            /* the hypervisor's memory for it, KiB, at most */
    uint64_t exits[STAT_REASONS]; /* of lives before; 0 where statistics are compiled out */
    struct console *console;      /* for all its lives */
    STAILQ_ENTRY(vm) link;
    struct vm *same_hash;         /* the next one in the chain of its name (vm_index.c) */
    struct vcpu *vcpus[VM_VCPUS_MAX]; /* the last: what is behind config.vcpus of them is not there */
};

/* Makes the record of a VM from a module: its string and its file, and which of `copies=` it is.
 * What is wrong with it is one log line, and the VM is in the list as refused. NULL when there is
 * no memory for a record. Called at boot only. */
struct vm *vm_create(const char *string, const void *file, size_t size, uint32_t copy);

/* Refuses a VM that has not started yet: one log line. */
void vm_refuse(struct vm *vm, const char *error);

/* Starts a stopped VM from its module: memory, vCPUs; the scheduler has the first one. What is
 * wrong is one log line, and the VM is refused if it never ran. 0, -EBUSY (it is not stopped),
 * -EAGAIN (as below), -ENOMEM or another negative errno. */
int vm_start(struct vm *vm);

/* Ends the VM of this vCPU, which must be bound: one log line with the reason and `format`, the
 * decoded `exit` (may be NULL) with the guest's registers and the bytes at RIP, except for a
 * GUEST_EXIT. Only the first call of a life has an effect. No vCPU of it runs again. */
void vm_stop(struct vcpu *vcpu, enum stop_reason reason, const struct vm_exit *exit,
             const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The operator's verbs, from any core: 0; -EINVAL when its state does not allow it; -EAGAIN while
 * another core builds it, gives it back or changes its state, which may take long: nobody waits for
 * that. They take effect a little later. */
int vm_pause(struct vm *vm);
int vm_resume(struct vm *vm);
int vm_end(struct vm *vm); /* stops it for good */

/* A user of the VM (vm->users) is gone; the last one gives back all that the VM held, except for
 * its record, and restarts it or not as restart= says. */
void vm_put(struct vm *vm);

/* From any core: true if the VM lives and, until the caller's vm_put, keeps its vCPUs and memory,
 * though it may be stopped meanwhile. False also while another core builds it or gives it back:
 * nobody waits for that. */
MUST_CHECK bool vm_hold(struct vm *vm);

/* TSC ticks that the vCPUs of this life have run. */
uint64_t vm_run_ticks(const struct vm *vm);

const char *stop_reason_name(enum stop_reason reason);

/* How many VMs run, or will by themselves: alive or about to restart. */
uint32_t vms_alive(void);

#endif
