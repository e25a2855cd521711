/* SPDX-License-Identifier: MIT */
/* The dispatcher: each basic exit reason that a guest can cause is handled or stops that guest with
 * a reason; one that Atoll does not expect stops it too. Hot reasons come first. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/exits.h"

#include <linux/errno.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/flags.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/log.h"
#include "kernel/vm/exit_log.h"
#include "kernel/vm/hvt.h"
#include "kernel/vm/interrupts.h"
#include "kernel/vm/sched.h"
#include "kernel/vm/signals.h"
#include "kernel/vm/trace.h"
#include "vmx/exit_path.h"

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
static enum exit_action ept_violation(struct vcpu *vcpu, const struct vm_exit *exit)
{
    char decoded[LOG_LINE_MAX];
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
            vcpu->vmx.attention = true;
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
    if (vmx_rflags(&vcpu->vmx) & RFLAGS_TF) /* the #DB behind it would end it at once */
        return ACTION_RESUME;
    sched_wait_interrupt(vcpu);
    return ACTION_SLEEP;
}

/* An interrupt or NMI window is open now: interrupts_deliver closes it. */
static enum exit_action window(struct vcpu *vcpu)
{
    vcpu->vmx.attention = true;
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

static enum exit_action entry_failed(struct vcpu *vcpu, const struct vm_exit *exit)
{
    switch (exit->reason) {
    case EXIT_ENTRY_FAIL_GUEST_STATE:
        return stop(vcpu, STOP_ENTRY_FAIL_STATE, exit);
    case EXIT_ENTRY_FAIL_MSR_LOADING:
        return stop(vcpu, STOP_ENTRY_FAIL_MSR, exit);
    case EXIT_ENTRY_FAIL_MACHINE_CHECK:
        return stop(vcpu, STOP_ENTRY_FAIL_MCE, exit);
    default:
        return stop(vcpu, STOP_UNHANDLED_EXIT, exit);
    }
}

static enum exit_action vmcall(struct vcpu *vcpu, uint32_t *kind)
{
    uint64_t *rax = &vcpu->vmx.gpr[VMX_RAX];
    if (!vmx_in_64bit_kernel()) {
        *rax = (uint64_t)-EPERM;
        return ACTION_RESUME;
    }
    *kind = STAT_FIRST_CALL + (uint32_t)MIN(*rax, STAT_CALLS - 1ull);
    return hypercall_handle(vcpu);
}

/* Guests measure by it what an exit costs. */
static inline bool is_null_call(const struct vcpu *vcpu)
{
    _Static_assert(ATOLL_CALL_NULL == 0, "its number is its result");
    return vcpu->vmx.gpr[VMX_RAX] == ATOLL_CALL_NULL && vmx_in_64bit_kernel();
}

/* msr_read_handle of what a kernel reads most; false: it is another register. */
static inline bool read_usual_msr(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->vmx.gpr, value;
    uint32_t msr = (uint32_t)gpr[VMX_RCX];
    if (msr == MSR_APIC_BASE)
        value = vapic_base(&vcpu->apic);
    else if (msr == MSR_EFER && vcpu->vmx.unrestricted)
        value = vmx_field(VMCS_GUEST_EFER);
    else
        return false;
    gpr[VMX_RAX] = (uint32_t)value;
    gpr[VMX_RDX] = value >> 32;
    return true;
}

static inline enum exit_action io(struct vcpu *vcpu, uint32_t *kind)
{
    uint64_t qualification = vmx_exit_qualification();
    *kind = stats_port_slot(vcpu->stats, VMX_IO_PORT(qualification));
    return vcpu->vm->hvt ? hvt_io(vcpu, qualification) : io_handle(vcpu, qualification);
}

/* `kind` is the exit's slot in the statistics: its reason, if nothing else is said. */
static enum exit_action dispatch(struct vcpu *vcpu, const struct vm_exit *exit, uint32_t *kind)
{
    switch (exit->reason) {
    case EXIT_VMCALL:
        return vcpu->vm->hvt ? hvt_refuse(vcpu, exit) : vmcall(vcpu, kind);
    case EXIT_CPUID:
        cpuid_handle(vcpu);
        return ACTION_RESUME;
    case EXIT_PREEMPTION_TIMER: /* the scheduler knows what for */
        return ACTION_HOST;
    case EXIT_EXTERNAL_INTERRUPT:
        vcpu->interrupted = true;
        interrupt_handle(exit->interruption_info & INFO_VECTOR);
        return ACTION_HOST;
    case EXIT_IO:
        return io(vcpu, kind);
    case EXIT_RDMSR:
        return msr_read_handle(vcpu);
    case EXIT_WRMSR:
        return msr_write_handle(vcpu);
    case EXIT_CR_ACCESS:
        return cr_access(vcpu, exit);
    case EXIT_EXCEPTION_OR_NMI:
        return exception(vcpu, exit);
    case EXIT_EPT_VIOLATION:
        *kind = stats_place_slot(vcpu->stats, exit->guest_physical);
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
        return stop(vcpu, STOP_UNHANDLED_EXIT, exit);
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

static void finish(struct vcpu *vcpu, uint32_t reason, enum exit_action action)
{
    switch (action) {
    case ACTION_RESUME:
    case ACTION_SLEEP:
    case ACTION_YIELD:
        if (is_instruction(reason) && !vmx_skip(&vcpu->vmx))
            vmx_skip_rest(&vcpu->vmx);
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

/* ---- The way of an exit ---------------------------------------------------------------------- */

static struct vcpu *vcpu_of(struct vmx_vcpu *v)
{
    _Static_assert(offsetof(struct vcpu, vmx) == 0, "one address");
    return (struct vcpu *)v;
}

/* Any exit, read and decided over as a whole; the scheduler looks before the guest goes on. */
static void handle_any(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    struct vcpu *vcpu = vcpu_of(v);
    struct vm_exit exit;
    uint64_t gpr[VMX_REGISTERS]; /* as they were: the log decodes the exit by them */
    (void)unused;
    vmx_exit_read(v, &exit);
    if (__builtin_expect(exits_watched, 0))
        __builtin_memcpy(gpr, v->gpr, sizeof gpr);

    uint32_t kind = stats_reason_slot(exit.reason);
    enum exit_action action = __builtin_expect(exit.entry_failed, 0)
                                  ? entry_failed(vcpu, &exit)
                                  : dispatch(vcpu, &exit, &kind);
    if (action != ACTION_STOP)
        vmx_redeliver_event(v, &exit);
    finish(vcpu, exit.reason, action);

    if (__builtin_expect(exits_watched & WATCH_LOG, 0) && exit_log_wants(exit.reason))
        exit_log_line(vcpu, &exit, gpr, action, rdtsc_low() - tsc);
    uint64_t now = rdtsc();
    uint32_t cost = (uint32_t)now - tsc;
    stats_record(vcpu->stats, kind, cost);
    if (trace_is_on())
        trace_exit(vcpu, &exit, now - cost, cost);
    sched_go_on(vcpu);
}

/* The short ways. Whatever they seldom need ends them by vmx_forget, and is a call that does not
 * return: so a way has all that it needs in registers that it need not save. */

static void go_on_later(struct vmx_vcpu *v, uint32_t a, uint32_t b)
{
    (void)a, (void)b;
    sched_go_on(vcpu_of(v));
}

static void record_and_go_on(struct vmx_vcpu *v, uint32_t kind, uint32_t cost)
{
    stats_record(vcpu_of(v)->stats, kind, cost);
    sched_go_on(vcpu_of(v));
}

static void skip_rest_and_go_on(struct vmx_vcpu *v, uint32_t kind, uint32_t tsc)
{
    vmx_skip_rest(v);
    record_and_go_on(v, kind, rdtsc_low() - tsc);
}

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* In again at once, unless there is something to do before or somebody waits. `deep`: behind a
 * call, for which registers were saved. */
static ALWAYS_INLINE void go_on(struct vcpu *vcpu, uint32_t kind, uint32_t tsc, bool deep)
{
    uint32_t now = rdtsc_low();
    if (__builtin_expect(!stats_record_usual(vcpu->stats, kind, now - tsc), 0))
        vmx_forget(&vcpu->vmx, kind, now - tsc, record_and_go_on);
    else if (__builtin_expect((int32_t)(now - vcpu->stop_tsc) >= 0, 0) ||
             __builtin_expect(is_set(&vcpu->vmx.before_entry), 0) ||
             __builtin_expect(is_true(vcpu->mail_for_core), 0))
        deep ? sched_go_on(vcpu) : vmx_forget(&vcpu->vmx, 0, 0, go_on_later);
    else if (deep)
        vmx_resume_from_deep(&vcpu->vmx);
    else
        vmx_resume(&vcpu->vmx);
}

static ALWAYS_INLINE void skip_and_go_on(struct vcpu *vcpu, uint32_t kind, uint32_t tsc, bool deep)
{
    if (__builtin_expect(vmx_skip(&vcpu->vmx), 1))
        go_on(vcpu, kind, tsc, deep);
    else
        vmx_forget(&vcpu->vmx, kind, tsc, skip_rest_and_go_on);
}

static __attribute__((noinline, cold)) void end_otherwise(struct vcpu *vcpu, uint32_t reason,
                                                          enum exit_action action, uint32_t kind,
                                                          uint32_t tsc)
{
    finish(vcpu, reason, action);
    record_and_go_on(&vcpu->vmx, kind, rdtsc_low() - tsc);
}

static ALWAYS_INLINE void end(struct vcpu *vcpu, uint32_t reason, enum exit_action action,
                              uint32_t kind, uint32_t tsc)
{
    if (__builtin_expect(action == ACTION_RESUME, 1))
        skip_and_go_on(vcpu, kind, tsc, true);
    else
        end_otherwise(vcpu, reason, action, kind, tsc);
}

static void handle_vmcall(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    uint32_t kind = EXIT_VMCALL;
    enum exit_action action = vmcall(vcpu_of(v), &kind);
    (void)unused;
    end(vcpu_of(v), EXIT_VMCALL, action, kind, tsc);
}

static void handle_cpuid(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    (void)unused;
    cpuid_handle(vcpu_of(v));
    skip_and_go_on(vcpu_of(v), EXIT_CPUID, tsc, true);
}

static void handle_rdmsr(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    (void)unused;
    end(vcpu_of(v), EXIT_RDMSR, msr_read_handle(vcpu_of(v)), EXIT_RDMSR, tsc);
}

static void handle_wrmsr(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    struct vcpu *vcpu = vcpu_of(v);
    bool self = (uint32_t)v->gpr[VMX_RCX] == MSR_SELF_IPI && v->gpr[VMX_RDX] << 32 == 0;
    (void)unused;
    if (self && interrupts_self(vcpu, (uint32_t)v->gpr[VMX_RAX]))
        skip_and_go_on(vcpu, EXIT_WRMSR, tsc, true);
    else
        end(vcpu, EXIT_WRMSR, msr_write_handle(vcpu), EXIT_WRMSR, tsc);
}

static void handle_io(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    uint64_t qualification = vmx_exit_qualification();
    uint32_t kind = stats_port_slot(vcpu_of(v)->stats, VMX_IO_PORT(qualification));
    (void)unused;
    end(vcpu_of(v), EXIT_IO, io_handle(vcpu_of(v), qualification), kind, tsc);
}

static void handle_hvt_io(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    uint64_t qualification = vmx_exit_qualification();
    uint32_t kind = stats_port_slot(vcpu_of(v)->stats, VMX_IO_PORT(qualification));
    (void)unused;
    end(vcpu_of(v), EXIT_IO, hvt_io(vcpu_of(v), qualification), kind, tsc);
}

/* A first touch, if it interrupted no event's delivery. */
static void handle_ept_violation(struct vmx_vcpu *v, uint32_t tsc, uint32_t unused)
{
    struct vcpu *vcpu = vcpu_of(v);
    uint64_t qualification = vmx_exit_qualification();
    gpa_t guest = GPA(vmx_field(VMCS_GUEST_PHYSICAL_ADDRESS));
    if ((vmx_field(VMCS_IDT_VECTORING_INFO) & INFO_VALID) || (qualification & INFO_NMI_UNBLOCKED) ||
        guest_memory_fault(&vcpu->vm->memory, guest, qualification & EPT_RWX))
        handle_any(v, tsc, unused);
    else
        go_on(vcpu, stats_place_slot(vcpu->stats, guest.value), tsc, true);
}

/* All but the short ways, by reason. */
static void handle_long(struct vmx_vcpu *v, uint32_t reason, uint32_t tsc)
{
    vmx_handler *handler = handle_any;
    if (reason == EXIT_VMCALL)
        handler = handle_vmcall;
    else if (reason == EXIT_WRMSR)
        handler = handle_wrmsr;
    else if (reason == EXIT_IO)
        handler = handle_io;
    else if (reason == EXIT_RDMSR)
        handler = handle_rdmsr;
    else if (reason == EXIT_CPUID)
        handler = handle_cpuid;
    handler(v, tsc, 0);
}

/* GCC must not make a jump by table, which a processor may foresee wrongly, of the comparisons. */
#define IN_ORDER(value) __asm__("" : "+r"(value))

static void handle_usual(struct vmx_vcpu *v)
{
    struct vcpu *vcpu = vcpu_of(v);
    uint32_t tsc = rdtsc_low(), reason = vmx_exit_reason();
    if (reason == EXIT_CPUID && cpuid_handle_same(vcpu)) {
        skip_and_go_on(vcpu, EXIT_CPUID, tsc, false);
        return;
    }
    IN_ORDER(reason);
    if (reason == EXIT_VMCALL && is_null_call(vcpu)) {
        vcpu->bad_calls = 0;
        skip_and_go_on(vcpu, STAT_FIRST_CALL, tsc, false);
        return;
    }
    IN_ORDER(reason);
    if (reason == EXIT_RDMSR && read_usual_msr(vcpu)) {
        skip_and_go_on(vcpu, EXIT_RDMSR, tsc, false);
        return;
    }
    IN_ORDER(reason);
    if (reason == EXIT_IO) {
        uint64_t qualification = vmx_exit_qualification();
        uint16_t port = VMX_IO_PORT(qualification);
        uint32_t slot;
        if (VMX_IO_IS_OUT(qualification) && io_is_vacant(port) &&
            stats_port_is_home(vcpu->stats, port, &slot)) {
            skip_and_go_on(vcpu, slot, tsc, false);
            return;
        }
    }
    IN_ORDER(reason);
    if (reason == EXIT_EPT_VIOLATION)
        vmx_forget(v, tsc, 0, handle_ept_violation);
    else
        vmx_forget(v, reason, tsc, handle_long);
}

static void handle_hvt(struct vmx_vcpu *v)
{
    uint32_t tsc = rdtsc_low();
    vmx_forget(v, tsc, 0, vmx_exit_reason() == EXIT_IO ? handle_hvt_io : handle_any);
}

static void handle_watched(struct vmx_vcpu *v)
{
    uint32_t tsc = rdtsc_low();
    vmx_forget(v, tsc, 0, handle_any);
}

void exit_choose(struct vcpu *vcpu)
{
    vcpu->vmx.on_exit = exits_watched   ? handle_watched
                        : vcpu->vm->hvt ? handle_hvt
                                        : handle_usual;
}
