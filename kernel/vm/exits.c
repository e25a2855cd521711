/* SPDX-License-Identifier: MIT */
/* The dispatcher: each basic exit reason that a guest can cause is handled or stops that guest with
 * a reason; one that Atoll does not expect stops it too. Hot reasons come first. */
#include "kernel/vm/exits.h"

#include <linux/errno.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/log.h"
#include "kernel/vm/exit_log.h"
#include "kernel/vm/hvt.h"
#include "kernel/vm/sched.h"
#include "kernel/vm/signals.h"
#include "kernel/vm/trace.h"

uint32_t exits_watched;

#define INITS_MAX 4 /* exits by INIT at one and the same instruction */

static enum exit_action exception(struct vcpu *vcpu, const struct vm_exit *exit)
{
    unsigned vector = exit->interruption_info & INFO_VECTOR;
    if (INFO_TYPE(exit->interruption_info) == EVENT_NMI) {
        signals_exited();
        vmx_unblock_nmis(&vcpu->vmx);
        __asm__ volatile("int $2"); /* the host's NMI: its handler's IRET unblocks the next one */
        return ACTION_HOST;
    }
    if (vector == EXCEPTION_MC) {
        __asm__ volatile("int $18"); /* the machine's: the host's handler panics */
        return ACTION_HOST;
    }
    vmx_reflect_exception(&vcpu->vmx, exit);
    return ACTION_REFLECT;
}

/* The first touch of a page brings it in; anything else is the guest's error. */
static enum exit_action ept_violation(struct vcpu *vcpu, struct vm_exit *exit)
{
    char decoded[LOG_LINE_MAX];
    exit->kind = stats_place_slot(vcpu->stats, exit->guest_physical);
    if (guest_memory_fault(&vcpu->vm->memory, GPA(exit->guest_physical),
                           exit->qualification & EPT_RWX) == 0)
        return ACTION_RETRY;
    vmx_exit_describe(decoded, sizeof decoded, exit, vcpu->vmx.gpr);
    vm_stop(vcpu, STOP_EPT_VIOLATION, exit, "%s%s",
            vcpu->vm->hvt ? "host/guest translation fault: " : "", decoded);
    return ACTION_STOP;
}

/* CR8 is the APIC's TPR. With APIC virtualisation it does not exit. */
static enum exit_action cr_access(struct vcpu *vcpu, const struct vm_exit *exit)
{
    uint8_t cr8 = vapic_cr8(&vcpu->apic);
    vcpu->vmx.cr8 = cr8;
    switch (vmx_cr_access(&vcpu->vmx, exit)) {
    case 0:
        if (vcpu->vmx.cr8 != cr8) {
            vapic_set_cr8(&vcpu->apic, (uint8_t)vcpu->vmx.cr8);
            vcpu->attention = true;
        }
        return ACTION_RESUME;
    case -EOPNOTSUPP:
        vm_stop(vcpu, STOP_UNSUPPORTED_MODE, exit,
                "this mode needs \"unrestricted guest\", which the processor lacks");
        return ACTION_STOP;
    default:
        return ACTION_GP;
    }
}

static enum exit_action xsetbv_handle(struct vcpu *vcpu)
{
    const uint64_t *gpr = vcpu->vmx.gpr;
    uint64_t value = (uint32_t)gpr[VMX_RAX] | gpr[VMX_RDX] << 32;
    /* Bochs exits before it checks CPL */
    if ((uint32_t)gpr[VMX_RCX] != 0 || vmx_cpl(&vcpu->vmx) != 0)
        return ACTION_GP;
    return vmx_write_xcr0(&vcpu->vmx, value, cpu_xcr0_supported()) ? ACTION_GP : ACTION_RESUME;
}

static enum exit_action hlt(struct vcpu *vcpu, const struct vm_exit *exit)
{
    if (vcpu->vm->hvt)
        return hvt_refuse(vcpu, exit);
    sched_wait_interrupt(vcpu);
    return ACTION_SLEEP;
}

/* An interrupt or NMI window is open now: interrupts_deliver closes it. */
static enum exit_action window(struct vcpu *vcpu)
{
    vcpu->attention = true;
    return ACTION_HOST;
}

/* With APIC virtualisation, the write of a self-IPI that the processor does not carry out itself: a
 * vector below 16 (SDM 29.5). The value lies in the page. */
static enum exit_action apic_write_exit(struct vcpu *vcpu, const struct vm_exit *exit)
{
    uint32_t offset = exit->qualification & (PAGE_SIZE - 1) & ~0xfu;
    uint32_t value;
    __builtin_memcpy(&value, vcpu->vmx.apic_page + offset, sizeof value);
    return apic_write(vcpu, VAPIC_MSR_FIRST + offset / 16, value) == ACTION_STOP ? ACTION_STOP
                                                                                : ACTION_HOST;
}

/* An INIT is for the core, and no guest is reset by it. The exit takes it away (SDM 25.2), but not
 * on every machine: Bochs 2.7 delivers it again at each entry. Then the core is started anew. */
static enum exit_action init_signal(struct vcpu *vcpu, const struct vm_exit *exit)
{
    signals_exited();
    vcpu->inits = exit->rip == vcpu->init_rip ? vcpu->inits + 1 : 1;
    vcpu->init_rip = exit->rip;
    if (vcpu->inits < INITS_MAX)
        return ACTION_HOST;
    vcpu->inits = 0;
    vcpu->yielded = true;
    vcpu->restart_core = true;
    return ACTION_YIELD;
}

static enum exit_action stop(struct vcpu *vcpu, enum stop_reason reason, const struct vm_exit *exit)
{
    vm_stop(vcpu, reason, exit, "exit %u %s", exit->reason, vmx_exit_name(exit->reason));
    return ACTION_STOP;
}

static enum exit_action unexpected(struct vcpu *vcpu, struct vm_exit *exit)
{
    exit->kind = MIN(exit->kind, EXIT_REASONS - 1u); /* it may have no slot of its own */
    return stop(vcpu, STOP_UNHANDLED_EXIT, exit);
}

static enum exit_action entry_failed(struct vcpu *vcpu, struct vm_exit *exit)
{
    switch (exit->reason) {
    case EXIT_ENTRY_FAIL_GUEST_STATE:
        return stop(vcpu, STOP_ENTRY_FAIL_STATE, exit);
    case EXIT_ENTRY_FAIL_MSR_LOADING:
        return stop(vcpu, STOP_ENTRY_FAIL_MSR, exit);
    case EXIT_ENTRY_FAIL_MACHINE_CHECK:
        return stop(vcpu, STOP_ENTRY_FAIL_MCE, exit);
    default:
        return unexpected(vcpu, exit);
    }
}

static enum exit_action dispatch(struct vcpu *vcpu, struct vm_exit *exit)
{
    switch (exit->reason) {
    case EXIT_VMCALL:
        return hypercall_handle(vcpu, exit);
    case EXIT_CPUID:
        cpuid_handle(vcpu);
        return ACTION_RESUME;
    case EXIT_PREEMPTION_TIMER: /* the scheduler knows what for */
        return ACTION_HOST;
    case EXIT_EXTERNAL_INTERRUPT:
        interrupt_handle(exit->interruption_info & INFO_VECTOR);
        return ACTION_HOST;
    case EXIT_IO:
        exit->kind = stats_port_slot(vcpu->stats, VMX_IO_PORT(exit->qualification));
        return io_handle(vcpu, exit);
    case EXIT_RDMSR:
        return msr_read_handle(vcpu);
    case EXIT_WRMSR:
        return msr_write_handle(vcpu);
    case EXIT_CR_ACCESS:
        return cr_access(vcpu, exit);
    case EXIT_EXCEPTION_OR_NMI:
        return exception(vcpu, exit);
    case EXIT_EPT_VIOLATION:
        return ept_violation(vcpu, exit);
    case EXIT_HLT:
        return hlt(vcpu, exit);
    case EXIT_INTERRUPT_WINDOW:
    case EXIT_NMI_WINDOW:
        return window(vcpu);
    case EXIT_APIC_WRITE:
        return apic_write_exit(vcpu, exit);
    case EXIT_PAUSE:
        vcpu->yielded = true;
        return ACTION_YIELD;
    case EXIT_XSETBV:
        return xsetbv_handle(vcpu);
    case EXIT_INVD: /* never carried out: it would lose other guests' writes */
    case EXIT_WBINVD:
        return ACTION_RESUME;
    case EXIT_RDPMC:
        return ACTION_GP;
    case EXIT_INIT_SIGNAL:
        return init_signal(vcpu, exit);
    case EXIT_GETSEC: /* instructions that CPUID says are not there */
    case EXIT_RSM:
    case EXIT_VMCLEAR:
    case EXIT_VMLAUNCH:
    case EXIT_VMPTRLD:
    case EXIT_VMPTRST:
    case EXIT_VMREAD:
    case EXIT_VMRESUME:
    case EXIT_VMWRITE:
    case EXIT_VMXOFF:
    case EXIT_VMXON:
    case EXIT_INVEPT:
    case EXIT_INVVPID:
    case EXIT_VMFUNC:
    case EXIT_MWAIT:
    case EXIT_MONITOR:
    case EXIT_RDRAND:
    case EXIT_RDSEED:
    case EXIT_INVPCID:
    case EXIT_ENCLS:
    case EXIT_ENCLV:
    case EXIT_PCONFIG:
    case EXIT_XSAVES:
    case EXIT_XRSTORS:
    case EXIT_UMWAIT:
    case EXIT_TPAUSE:
    case EXIT_LOADIWKEY:
        return ACTION_UD;
    case EXIT_TRIPLE_FAULT:
        return stop(vcpu, STOP_TRIPLE_FAULT, exit);
    case EXIT_TASK_SWITCH: /* only outside IA-32e mode */
        return stop(vcpu, STOP_TASK_SWITCH, exit);
    case EXIT_EPT_MISCONFIGURATION:
        return stop(vcpu, STOP_EPT_MISCONFIG, exit);
    default:
        return unexpected(vcpu, exit);
    }
}

/* Reasons after which the instruction is skipped when its handler says ACTION_RESUME: those that an
 * instruction caused. Faults and events leave RIP where it is. */
static bool is_instruction(uint32_t reason)
{
    switch (reason) {
    case EXIT_VMCALL:
    case EXIT_CPUID:
    case EXIT_IO:
    case EXIT_RDMSR:
    case EXIT_WRMSR:
    case EXIT_CR_ACCESS:
    case EXIT_PAUSE:
    case EXIT_HLT:
    case EXIT_XSETBV:
    case EXIT_INVD:
    case EXIT_WBINVD:
        return true;
    default:
        return false;
    }
}

static void finish(struct vcpu *vcpu, const struct vm_exit *exit, enum exit_action action)
{
    switch (action) {
    case ACTION_RESUME:
    case ACTION_SLEEP:
    case ACTION_YIELD:
        if (is_instruction(exit->reason))
            vmx_skip_instruction(&vcpu->vmx, exit);
        break;
    case ACTION_UD:
        vmx_inject_exception(&vcpu->vmx, EXCEPTION_UD, 0);
        break;
    case ACTION_GP:
        vmx_inject_exception(&vcpu->vmx, EXCEPTION_GP, 0);
        break;
    case ACTION_REFLECT:
    case ACTION_RETRY:
    case ACTION_HOST:
    case ACTION_STOP:
        break;
    }
}

void exit_handle(struct vcpu *vcpu, struct vm_exit *exit)
{
    uint64_t gpr[VMX_REGISTERS]; /* as they were: the log decodes the exit by them */
    if (__builtin_expect(exits_watched, 0))
        __builtin_memcpy(gpr, vcpu->vmx.gpr, sizeof gpr);

    enum exit_action action =
        __builtin_expect(exit->entry_failed, 0) ? entry_failed(vcpu, exit) : dispatch(vcpu, exit);
    if (action != ACTION_STOP)
        vmx_redeliver_event(&vcpu->vmx, exit);
    finish(vcpu, exit, action);

    if (__builtin_expect(exits_watched & WATCH_LOG, 0) && exit_log_wants(exit->reason))
        exit_log_line(vcpu, exit, gpr, action, (uint32_t)rdtsc() - exit->tsc);
}
