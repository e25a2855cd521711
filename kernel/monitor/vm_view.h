/* SPDX-License-Identifier: MIT */
/* A VM and its vCPUs as they are at one moment, for commands. VMs start, end and move on other
 * cores at any time: what is no atomic is read under the VM's lock here, and nowhere else in the
 * monitor. That lock is held for long while a VM is built or given back; nobody waits for it. */
#ifndef KERNEL_MONITOR_VM_VIEW_H
#define KERNEL_MONITOR_VM_VIEW_H

#include "kernel/monitor/command.h"

struct vm_view {
    bool busy;               /* it is being built or given back, and nothing else is known */
    bool alive;              /* it has memory and vCPUs */
    const char *state;       /* "running", "paused", "stopping", "stopped", "restarting", "refused",
                                "busy" */
    bool ended;              /* a life of it is over: */
    enum stop_reason reason; /* how the last one ended */
    uint8_t status;          /* of GUEST_EXIT */
    uint32_t starts, restarts;
    uint64_t run_ticks;      /* of all lives */
    uint64_t life_ticks;     /* since this life began, 0: it is not alive */
    uint64_t life_run_ticks; /* of them on a core, all vCPUs together */
    uint64_t restart_tsc;    /* of "restarting" */
    /* Bytes; 0 while it is not alive. */
    uint64_t size;           /* its RAM */
    uint64_t resident;       /* of it, what it has touched */
    uint64_t reserved;       /* set aside for it, and not in use */
    uint64_t tables;         /* EPT paging structures */
    uint64_t overhead;       /* all that the hypervisor has for it, these tables included */
};

struct vcpu_view {
    enum vcpu_state state;
    enum vcpu_wait wait;
    uint32_t cpu;
    uint64_t run_ticks;
    uint64_t timer;          /* when its local APIC's timer fires, host TSC; UINT64_MAX: never */
    uint64_t wake;           /* when its sleep or its wait for the next period ends, likewise */
};

/* Room for how a VM ended: "status 255", "UNSUPPORTED_MODE". */
#define VM_ENDED_MAX 24

/* Looks at a VM. False: another core holds its lock. */
bool vm_look(struct vm *vm, struct vm_view *view);

/* Likewise, at one of its vCPUs; `*there` says whether it lives. */
bool vcpu_look(struct vm *vm, uint32_t index, struct vcpu_view *view, bool *there);

/* The name of its state without its lock, for lines about what did not work: may be outdated. */
const char *vm_state_text(const struct vm *vm);

/* "status 0", "EPT_VIOLATION", "-". */
void vm_ended_text(const struct vm_view *view, char text[VM_ENDED_MAX]);

/* Looks at a VM within a command. False: return COMMAND_WAIT. After some tries it is shown as
 * "busy". call->state[7] counts. */
bool command_look(struct invocation *call, struct vm *vm, struct vm_view *view);

/* A step of a command that writes a row for each VM, a few at a time, from the first one at
 * call->state[6] == 0 on. state[5] is its own, too. */
enum command_result command_each_vm(struct invocation *call,
                                    void (*row)(struct output *, struct vm *,
                                                const struct vm_view *));

/* Rows of one step: at most COMMAND_STEP_MAX bytes with -j. */
#define COMMAND_ROWS 4

#endif
