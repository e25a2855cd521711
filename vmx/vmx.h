/* SPDX-License-Identifier: MIT */
/* The one public face of vmx/: everything above it that runs guests includes this header and none
 * other of the folder (vmx/ept.h comes with it; the way of an exit also has vmx/exit_path.h). Down:
 * enter a guest; back: one decoded exit. Nothing here knows a device, a hypercall or the scheduler.
 * Source of truth: Intel SDM Vol. 3C, chapters 23 to 30, in the classic numbering. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <sys/queue.h>

#include "kernel/lib/types.h"
#include "kernel/mm/frame_pool.h"
#include "vmx/ept.h"

#define VMX_ERROR_MAX 200

/* ---- One processor ------------------------------------------------------------------------- */

/* What this processor offers beyond what Atoll requires (SDM Appendix A). */
struct vmx_features {
    uint32_t revision;        /* VMCS revision identifier */
    bool true_controls;       /* the TRUE capability MSRs exist */
    bool vpid;
    bool unrestricted_guest;
    bool preemption_timer;
    uint8_t preemption_shift; /* the timer counts down once every 2^shift TSC ticks */
    bool virtual_nmis;
    bool ept_2m, ept_1g, ept_execute_only;
    bool invept_single, invept_all;
    bool invvpid_single, invvpid_all;
    bool pause_loop_exiting;
    bool apicv;               /* all of: TPR shadow, virtualize x2APIC mode, APIC-register
                                 virtualization, virtual-interrupt delivery (SDM 29) */
    bool rdtscp, invpcid;     /* guests may be given these instructions */
};

/* Makes the calling processor ready, in the order of SDM 23.6-23.8 and 31.5: CPUID.1:ECX.VMX,
 * IA32_FEATURE_CONTROL, A20, fixed bits of CR0 and CR4, CR4.VMXE, the capabilities that Atoll
 * requires, VMXON. Returns 0 with `features`, or -ENODEV / -EPERM / -ENOMEM and one line in
 * `error` that names in the SDM's words what is missing. */
MUST_CHECK int vmx_cpu_enable(struct vmx_features *features, char error[VMX_ERROR_MAX]);

/* VMXOFF and CR4.VMXE clear on the calling processor, if vmx_cpu_enable succeeded there; every VMCS
 * that it has loaded is cleared before. An INIT that was blocked meanwhile is taken right behind
 * VMXOFF; vmx_cpu_enable may follow again. */
void vmx_cpu_disable(void);

/* Before the first vCPU: whether APIC virtualisation is used where it exists (the default). */
void vmx_use_apicv(bool use);

/* Is it used? The same for all vCPUs. */
bool vmx_apicv(void);

/* What all enabled processors offer. */
const struct vmx_features *vmx_features_of_all(void);

/* Writes the features in a few words, for the log. */
void vmx_features_describe(const struct vmx_features *features, char *text, size_t size);

/* The largest EPT leaf that every enabled processor supports, as a frame order. */
unsigned vmx_ept_max_order(void);

/* What the rules of VMX forbid, tried on the calling processor, each refusal on a log line with
 * its SDM section. Leaves the processor as it found it: outside VMX operation. `ask_for_init` makes
 * another processor send an INIT to this one and returns when it was sent; NULL: there is none. */
void vmx_tour(void (*ask_for_init)(void));

/* ---- One virtual processor ------------------------------------------------------------------ */

/* General registers in the order of their encoding, so that a register number of an exit
 * qualification is an index. RSP lives in the VMCS: use vmx_rsp(). */
enum vmx_register { VMX_RAX, VMX_RCX, VMX_RDX, VMX_RBX, VMX_RSP, VMX_RBP, VMX_RSI, VMX_RDI,
                    VMX_R8, VMX_R9, VMX_R10, VMX_R11, VMX_R12, VMX_R13, VMX_R14, VMX_R15,
                    VMX_REGISTERS };

struct vmcs {
    void *region;      /* one zeroed page with the revision identifier, in the direct map */
    uint32_t cpu;      /* index of the CPU that has it loaded, or VMCS_NOT_LOADED */
    bool launched;     /* the launch state: VMRESUME, not VMLAUNCH */
    LIST_ENTRY(vmcs) loaded; /* with the others that the CPU has loaded */
};
#define VMCS_NOT_LOADED UINT32_MAX

/* The registers of the virtual-APIC page end here: no bitmap opens an MSR beyond, and the processor
 * uses none (SDM 29.1). Behind them lies what the guest has in other registers anyway: its FPU
 * area, FXSAVE or XSAVE, of the largest size that the bits of cpu_xcr0_supported make: x87, SSE,
 * AVX, AVX-512 in the standard format (SDM Vol. 1, 13.4). */
#define VMX_APIC_SIZE 1024
#define VMX_FPU_SIZE  2688

struct vmx_vcpu {
    uint64_t gpr[VMX_REGISTERS]; /* enter.asm saves and loads them at fixed offsets */
    uint64_t host_rsp;           /* what the VMCS has in HOST_RSP */
    void (*on_exit)(struct vmx_vcpu *vcpu); /* see vmx_run */
    struct vmcs vmcs;
    struct ept *ept;
    struct frame_pool *pool;     /* where its pages come from */
    uint8_t *apic_page;          /* VMX_APIC_SIZE, zeroed at creation; then the FPU area */
    uint32_t last_cpu;           /* that it was bound to, or VMCS_NOT_LOADED */
    uint64_t last_tsc;           /* of the host, when it was unbound */
    uint16_t vpid;               /* 0: VPID is not used */
    union {
        struct {
            bool flush;          /* stale translations may be left: invalidate */
            bool inject;         /* `event` waits */
            bool attention;      /* of whoever runs it: to be looked at by him */
        };
        uint32_t before_entry;   /* not 0: there is something to do */
    };
    bool unrestricted;           /* entered with "unrestricted guest" */
    bool interrupt_window, nmi_window; /* exits that are switched on */
    bool in_nmi;                 /* an NMI was injected, and its handler may not have ended */
    uint64_t cr0, cr4, efer;     /* as the guest sees them */
    uint64_t cr3;                /* kept here while paging is off on the identity map */
    uint64_t cr8;
    uint64_t tsc_offset;         /* guest TSC = TSC + tsc_offset: its VM's, and what it takes that
                                    no move to another core turns it back */
    /* What a guest leaves in registers that neither the VMCS nor an exit switches: owned by the
     * vCPU that is bound to the core. */
    uint64_t cr2, dr[4], dr6, xcr0;
    uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    uint64_t event;              /* pending injection: entry-interruption information, error code
                                    << 32; 0: none */
    uint32_t event_length;       /* of a software event's instruction */
};

#define VMX_VCPU_FRAMES 2 /* what vmx_vcpu_create takes from the pool: VMCS, virtual-APIC page */

/* Makes a vCPU that waits for its start. `vpid` is unique among living vCPUs, or 0. Returns 0 or
 * -ENOMEM, or -ENODEV with one line in `error` when a required control is missing. */
MUST_CHECK int vmx_vcpu_create(struct vmx_vcpu *vcpu, struct ept *ept, struct frame_pool *pool,
                               uint16_t vpid, uint64_t tsc_offset, char error[VMX_ERROR_MAX]);

/* The page that all EPTs map read-only at `guest` where processors lack "unrestricted guest"; false:
 * none does. */
bool vmx_identity_map(gpa_t *guest, hpa_t *host);

/* Frees what vmx_vcpu_create took. The vCPU must be unloaded. */
void vmx_vcpu_destroy(struct vmx_vcpu *vcpu);

/* Gives a vCPU, which is not loaded on another processor, the state of the PVH entry: 32-bit
 * protected mode, paging off, RIP = entry, EBX = ebx. Registers are zeroed. */
void vmx_start_protected(struct vmx_vcpu *vcpu, gpa_t entry, uint32_t ebx);

/* 64-bit mode at CPL 0 on page tables and a GDT (null, code, data) that lie in the guest's memory;
 * interrupts off, no IDT. The other registers are zeroed. `vcpu` as above. */
struct vmx_long_start {
    uint64_t entry, rsp, rdi, cr3, gdt;
    uint32_t gdt_limit;
};
void vmx_start_long(struct vmx_vcpu *vcpu, const struct vmx_long_start *start);

/* The state behind a SIPI (SDM Vol. 3A, 8.4.3, table 9-1): real mode at page << 12. Only with
 * "unrestricted guest". */
void vmx_start_real(struct vmx_vcpu *vcpu, uint8_t page);

/* Loads the vCPU's state on this processor: VMPTRLD, FPU, debug registers and MSRs, and the host's
 * part of the VMCS if the processor is another one than last time. It must not be loaded on another
 * one (contract 1 of docs/design.md: a host bug, hence a panic). */
void vmx_bind(struct vmx_vcpu *vcpu);

/* Takes its state off this processor's registers. The VMCS stays loaded: binding it here again is
 * cheap. */
void vmx_unbind(struct vmx_vcpu *vcpu);

/* VMCLEAR, if this processor has the VMCS loaded. The vCPU must be unbound; afterwards any
 * processor may bind it. */
void vmx_unload(struct vmx_vcpu *vcpu);

/* ---- Exits ---------------------------------------------------------------------------------- */

/* Basic exit reasons: SDM Appendix C. */
enum vmx_exit_reason {
#define X(number, name, text) EXIT_##name = number,
#include "vmx/exit_reasons.def"
#undef X
    EXIT_REASONS
};

/* Interruption information: what an exit reports (SDM 24.9.2, 24.9.3) and what an entry injects
 * (24.8.3) have one format. */
#define INFO_VECTOR     0xffu
#define INFO_TYPE_SHIFT 8
#define INFO_TYPE(info) ((enum event_type)((info) >> INFO_TYPE_SHIFT & 7))
#define INFO_ERROR_CODE BIT(11)
#define INFO_NMI_UNBLOCKED BIT(12) /* by an IRET that did not come to its end; also in an EPT
                                      violation's qualification. Undefined in IDT-vectoring
                                      information */
#define INFO_VALID      BIT(31)

enum event_type {
    EVENT_EXTERNAL_INTERRUPT = 0,
    EVENT_RESERVED_TYPE = 1,
    EVENT_NMI = 2,
    EVENT_HARDWARE_EXCEPTION = 3,
    EVENT_SOFTWARE_INTERRUPT = 4,
    EVENT_PRIVILEGED_SOFTWARE_EXCEPTION = 5,
    EVENT_SOFTWARE_EXCEPTION = 6,
    EVENT_OTHER = 7,
};

/* One exit. Only what the reason defines is read from the VMCS; the rest is 0. */
struct vm_exit {
    uint32_t reason;            /* enum vmx_exit_reason, or a number that is not in it */
    bool entry_failed;          /* bit 31: the guest was not entered */
    uint32_t length;            /* of the instruction, where the reason defines it */
    uint64_t rip;
    uint64_t qualification;
    uint64_t guest_physical;    /* EPT violation and misconfiguration */
    uint64_t guest_linear;      /* EPT violation with qualification bit 7; string I/O */
    uint32_t interruption_info; /* exceptions, NMIs, external interrupts */
    uint32_t error_code;        /* of the exception */
    uint32_t idt_vectoring_info;
    uint32_t idt_vectoring_error;
    uint32_t instruction_info;  /* SDM 27.2.5, where the reason defines it */
};

/* Enters the bound guest. Each exit calls vcpu->on_exit(vcpu), which may look at it by
 * vmx_exit_read or vmx/exit_path.h; when that returns, vmx_run returns 0. A VMLAUNCH or VMRESUME
 * that fails (SDM 30.2) returns -EIO with `error`: the VM-instruction error by number and name. A
 * failed entry (bit 31) is an exit with entry_failed. Interrupts are off all the time. */
MUST_CHECK int vmx_run(struct vmx_vcpu *vcpu, char error[VMX_ERROR_MAX]);

/* In on_exit, as its last word: enters the guest again instead of returning. All that there was to
 * do before (vcpu->before_entry) is done. What on_exit holds on its stack is gone. */
void vmx_resume(struct vmx_vcpu *vcpu); /* enter.asm */

/* The same for a caller with registers saved on the stack, which GCC then does not restore. */
_Noreturn void vmx_resume_from_deep(struct vmx_vcpu *vcpu) __asm__("vmx_resume");

/* Does what there is to do before an entry: invalidates, and writes the event to inject. */
void vmx_prepare(struct vmx_vcpu *vcpu);

/* What the VMCS says of the exit that on_exit was called for, before anything was changed. */
void vmx_exit_read(struct vmx_vcpu *vcpu, struct vm_exit *exit);

/* Time in the guest until the preemption timer (exit 52) ends its stay, in TSC ticks; where the
 * processor can save the timer, exits in between do not start it anew. Returns false when the
 * processor has no such timer. */
bool vmx_preemption_set(struct vmx_vcpu *vcpu, uint64_t ticks);

/* SDM's name of a basic exit reason, as in Appendix C ("CPUID", "EPT violation" ...); "reserved"
 * for a number that has none. */
const char *vmx_exit_name(uint32_t reason);

/* Writes the exit's decoded qualification for its reason, e.g. "port=0x80 out 1 byte" or
 * "gpa=0x5000000 write, not mapped"; "" when there is nothing to add. `gpr` are the guest's
 * registers. Returns what snprintf would. Pure. */
int vmx_exit_describe(char *text, size_t size, const struct vm_exit *exit,
                      const uint64_t gpr[VMX_REGISTERS]);

/* Writes an event by its interruption information (SDM 24.8.3, 24.9.2, 24.9.3), e.g. "#GP
 * error=0x0"; "" when it is not valid. Returns what snprintf would. Pure. */
int vmx_event_describe(char *text, size_t size, uint32_t info, uint32_t error_code);

/* "#PF" and the like (SDM Vol. 3A, table 6-1); NULL for a vector that has no name. */
const char *vmx_exception_name(unsigned vector);

/* Decoders of exit qualifications (SDM 27.2.1). */
struct vmx_cr_access {
    uint8_t cr;                 /* 0, 3, 4 or 8 */
    enum { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW } type;
    enum vmx_register gpr;
    bool lmsw_memory;
    uint16_t lmsw_source;
};
struct vmx_cr_access vmx_exit_cr_access(uint64_t qualification); /* Table 27-3 */

struct vmx_io {
    uint16_t port;
    uint8_t size;               /* 1, 2 or 4 bytes */
    bool in, string, rep, immediate;
};
#define VMX_IO_PORT(qualification) ((uint16_t)((qualification) >> 16))
struct vmx_io vmx_exit_io(uint64_t qualification); /* Table 27-5 */

/* Is it an OUT of one value? */
#define VMX_IO_IS_OUT(qualification) (((qualification) & 0x18) == 0)

/* Is it an OUT of EAX? Bits 2:0 are the size less one, bit 3 is IN, bit 4 string. */
#define VMX_IO_IS_OUT32(qualification) (((qualification) & 0x1f) == 3)

/* ---- What a handler may do to the guest between exit and entry (it must be bound) ----------- */

/* Injects a hardware exception at the next entry. `error_code` counts for vectors that push one. */
void vmx_inject_exception(struct vmx_vcpu *vcpu, unsigned vector, uint32_t error_code);

/* Puts an intercepted exception back where it came from (SDM 27.2.4), #DB with its DR6. */
void vmx_reflect_exception(struct vmx_vcpu *vcpu, const struct vm_exit *exit);

/* What waits for the guest: an NMI, an interrupt (its vector, -1: none). What can be delivered at
 * the next entry is, behind an exception that comes first; for the rest an exit as soon as it can
 * (interrupt window, NMI window). Called again whenever one of these exits came or something
 * changed. */
struct vmx_delivered {
    bool nmi, interrupt;
};
struct vmx_delivered vmx_deliver(struct vmx_vcpu *vcpu, bool nmi, int vector);

/* Does the guest take an interrupt at once, but for the shadow of STI or MOV SS: are interrupts on,
 * and does nothing wait? */
bool vmx_is_open(const struct vmx_vcpu *vcpu);

/* Delivers one at the next entry, in which vmx_is_open holds and there is no shadow. */
void vmx_inject_interrupt(struct vmx_vcpu *vcpu, uint8_t vector);

/* With APIC virtualisation: the highest requested vector and the highest in service (-1: none),
 * which the processor looks at at the next entry (SDM 24.4.2, 29.2). */
void vmx_set_interrupt_status(struct vmx_vcpu *vcpu, int requested, int in_service);

/* After an NMI exit: the NMI is the host's. Without virtual NMIs, Bochs 2.7 saves "blocking by NMI"
 * with the guest, and the next entry would block all further NMIs of this core. */
void vmx_unblock_nmis(struct vmx_vcpu *vcpu);

/* The event that was being delivered when the exit came is delivered anew at the next entry. */
void vmx_redeliver_event(struct vmx_vcpu *vcpu, const struct vm_exit *exit);

/* The guest's MOV to CR0/CR3/CR4/CR8, CLTS, LMSW, and MOV from CR3/CR8. 0: done, skip the
 * instruction. -EINVAL: #GP(0). -EOPNOTSUPP: a mode that needs "unrestricted guest". */
MUST_CHECK int vmx_cr_access(struct vmx_vcpu *vcpu, const struct vm_exit *exit);

/* A write of IA32_EFER. 0, or -EINVAL: #GP(0). */
MUST_CHECK int vmx_write_efer(struct vmx_vcpu *vcpu, uint64_t value);

/* IA32_EFER as the guest sees it. */
uint64_t vmx_efer(const struct vmx_vcpu *vcpu);

/* XSETBV with ECX = 0. 0, or -EINVAL: #GP(0). `supported` are the bits that the guest may set. */
MUST_CHECK int vmx_write_xcr0(struct vmx_vcpu *vcpu, uint64_t value, uint64_t supported);

unsigned vmx_cpl(const struct vmx_vcpu *vcpu);
bool vmx_in_64bit_mode(const struct vmx_vcpu *vcpu);
uint64_t vmx_rsp(const struct vmx_vcpu *vcpu);
uint64_t vmx_rflags(const struct vmx_vcpu *vcpu);
bool vmx_interrupts_enabled(const struct vmx_vcpu *vcpu); /* RFLAGS.IF */
bool vmx_nmis_blocked(struct vmx_vcpu *vcpu);             /* in an NMI handler */

/* ---- Looking at a vCPU: vmx/inspect.c and, pure, vmx/inspect_text.c -------------------------- */

#define VMX_SNAPSHOT_FIELDS 199 /* of the VMCS, in the order of SDM Appendix B */

/* All that a vCPU is at one moment but its FPU and its virtual APIC. */
struct vmx_snapshot {
    uint64_t field[VMX_SNAPSHOT_FIELDS]; /* 0 where the processor has no such field */
    uint64_t present[(VMX_SNAPSHOT_FIELDS + 63) / 64]; /* bit n: it has field n */
    bool complete;               /* it has been on a core: before, the VMCS is not filled */
    bool bound;                  /* it was on the core when this was taken */
    uint64_t gpr[VMX_REGISTERS]; /* with RSP */
    uint64_t cr0, cr3, cr4, cr8, efer; /* as the guest sees them */
    uint64_t cr2, dr[4], dr6, xcr0;
    uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    uint64_t tsc;                /* of the guest */
    uint64_t event;              /* what the next entry injects, as in struct vmx_vcpu */
};

/* Takes a snapshot, on the core that has the vCPU: the one on which it is `bound`, or on which its
 * VMCS may be loaded (it stays loaded there). The VMCS that was current is so again afterwards. */
void vmx_snapshot(struct vmx_vcpu *vcpu, bool bound, struct vmx_snapshot *snapshot);

#define VMX_TEXT_MAX 768

/* A field or a register. */
struct vmx_value {
    const char *name;  /* the SDM's */
    uint16_t encoding; /* of a field */
    bool present;      /* the processor has such a field */
    uint64_t value;
    char text[VMX_TEXT_MAX]; /* flags by name, "" where there is nothing to decode */
};

/* The i-th field of the VMCS; the i-th register, general registers and control registers first.
 * False: there is none. */
bool vmx_snapshot_field(const struct vmx_snapshot *snapshot, unsigned i, struct vmx_value *value);
bool vmx_snapshot_register(const struct vmx_snapshot *snapshot, unsigned i,
                           struct vmx_value *value);

/* The i-th segment register: ES, CS, SS, DS, FS, GS, LDTR, TR, then, with neither selector nor
 * access rights, GDTR and IDTR. False: there is none. */
struct vmx_segment {
    const char *name;
    bool table;      /* GDTR, IDTR */
    uint16_t selector;
    uint64_t base;
    uint32_t limit, access;
    char text[64];   /* the access rights */
};
bool vmx_snapshot_segment(const struct vmx_snapshot *snapshot, unsigned i,
                          struct vmx_segment *segment);

/* Runs the auditor over a snapshot that is complete: `report` has, for each rule of SDM 26.2 and
 * 26.3 that the VMCS breaks, its section and a line. Between an exit and the next entry a healthy
 * VMCS breaks none. Returns how many are broken. */
unsigned vmx_snapshot_audit(const struct vmx_snapshot *snapshot,
                            void (*report)(const char *section, const char *message,
                                           void *context),
                            void *context);

/* ---- When something went wrong -------------------------------------------------------------- */

/* Prints the guest's registers, segments and control state as log lines about `subject`. */
void vmx_dump_guest(const struct vmx_vcpu *vcpu, const char *subject);

/* Runs the auditor over the bound VMCS after a failed entry: a log line for each rule of SDM 26.2
 * and 26.3 that is broken. */
void vmx_audit(const struct vmx_vcpu *vcpu, const char *subject);

/* Flips a bit of a field of the bound VMCS, for self tests. Returns its name; NULL: there is no such
 * field. One that this processor has not is a host bug, as everywhere. */
const char *vmx_flip(uint16_t encoding, unsigned bit);

/* Where a linear address of the guest is, by its own page tables, for reading instruction bytes.
 * 0 or -EFAULT. */
MUST_CHECK int vmx_translate(const struct vmx_vcpu *vcpu, uint64_t linear, gpa_t *guest);

#endif
