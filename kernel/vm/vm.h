/* SPDX-License-Identifier: MIT */
/* Virtual machines and their virtual processors, and the one verb for a guest's failure. */
#ifndef KERNEL_VM_VM_H
#define KERNEL_VM_VM_H

#include <sys/queue.h>

#include "kernel/lib/types.h"
#include "kernel/vm/guest_memory.h"
#include "kernel/vm/module_line.h"
#include "vmx/vmx.h"

#define CONSOLE_LINE_MAX 160

/* Why a VM ended. The names are part of the interface: tests and users read them. */
#define STOP_REASONS(X)  \
    X(NONE)              \
    X(GUEST_EXIT)        /* the guest's own call, with its status */ \
    X(GUEST_RESET)       /* it wrote to a reset port */ \
    X(TRIPLE_FAULT)      \
    X(HALTED_FOREVER)    /* HLT, and nothing can wake it */ \
    X(EPT_VIOLATION)     /* memory that is not the guest's, or not with that access */ \
    X(EPT_MISCONFIG)     \
    X(TASK_SWITCH)       \
    X(UNSUPPORTED_MODE)  /* a mode that this processor cannot give a guest */ \
    X(BAD_HYPERCALL)     /* too many unknown calls in a row */ \
    X(ENTRY_FAIL_STATE)  /* exit 33: invalid guest state */ \
    X(ENTRY_FAIL_MSR)    /* exit 34 */ \
    X(ENTRY_FAIL_MCE)    /* exit 41 */ \
    X(VMFAIL)            /* VMLAUNCH or VMRESUME failed */ \
    X(UNHANDLED_EXIT)    /* an exit reason that Atoll does not expect */

enum stop_reason {
#define X(name) STOP_##name,
    STOP_REASONS(X)
#undef X
};

enum vcpu_state { VCPU_RUNNABLE, VCPU_SLEEPING, VCPU_STOPPED };

struct vm;

struct vcpu {
    struct vmx_vcpu vmx;
    struct vm *vm;
    uint32_t index;              /* in its VM */
    uint32_t cpu;                /* the core whose queue it is in */
    enum vcpu_state state;
    bool yielded;                /* gives up the rest of its slice */
    uint32_t bad_calls;          /* unknown hypercalls in a row */
    bool restart_core;           /* the core that it runs on must be started anew */
    uint32_t inits;              /* exits by INIT in a row at init_rip */
    uint64_t init_rip;
    uint64_t wake_tsc;           /* host TSC, while VCPU_SLEEPING */
    uint64_t run_ticks;          /* TSC ticks spent on a core, exits included */
    uint64_t slice_start;
    TAILQ_ENTRY(vcpu) link;      /* run queue, or sleepers in the order of wake_tsc */
    char name[VM_NAME_MAX + 4];  /* "ring-a.0", the subject of log lines */
};

struct vm {
    uint32_t id;
    struct vm_config config;
    struct guest_memory memory;
    bool refused;                /* it never ran: its module was bad, and has been reported */
    enum stop_reason stop_reason; /* the first one wins */
    uint8_t status;              /* of GUEST_EXIT */
    uint64_t run_ticks;          /* kept for the summary */
    uint64_t exits[EXIT_REASONS];
    uint32_t console_used;
    char console[CONSOLE_LINE_MAX]; /* a line of the console that waits for its newline */
    struct vcpu vcpu;
    STAILQ_ENTRY(vm) link;
};

STAILQ_HEAD(vm_list, vm);
extern struct vm_list vms; /* all that were ever named in a module, in that order */

/* Makes a VM from a module: its string and its file. Its vCPU is runnable, but in no queue yet. What
 * is wrong with it is one log line; the VM is then in the list as refused, and NULL is returned.
 * Called at boot only. */
struct vm *vm_create(const char *string, const void *file, size_t size);

/* The vCPU, which is running, sleeps from the end of this exit until the TSC reaches `tsc`. */
static inline void vcpu_sleep(struct vcpu *vcpu, uint64_t tsc)
{
    vcpu->state = VCPU_SLEEPING;
    vcpu->wake_tsc = tsc;
}

/* Ends the VM of this vCPU, which must be bound: one log line with the reason and `format`, the
 * decoded `exit` (may be NULL) with the guest's registers and the bytes at RIP, except for a
 * GUEST_EXIT. Only the first call has an effect. The vCPU does not run again. */
void vm_stop(struct vcpu *vcpu, enum stop_reason reason, const struct vm_exit *exit,
             const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Gives back all that the VM held, except for its record. The vCPU must be stopped and unbound. */
void vm_release(struct vm *vm);

const char *stop_reason_name(enum stop_reason reason);

/* How many VMs can still run: created, and not yet released. */
uint32_t vms_alive(void);

#endif
