/* SPDX-License-Identifier: MIT */
/* The host's half of the tour: what the rules of VMX forbid, tried on one processor, and what came
 * of it. The rules: SDM 23.7 and 23.8 (into VMX operation), 24.1 and 24.11 (VMCS), 26.1 (VM entry),
 * 30.3 (the instructions), 30.4 (error numbers). */
#include "vmx/vmx.h"

#include "kernel/cpu/time.h"
#include "kernel/cpu/traps.h"
#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"
#include "vmx/instruction_error.h"
#include "vmx/invalidate.h"
#include "vmx/processor.h"
#include "vmx/vmcs.h"

#define SUBJECT        "rules" /* of the log lines; the guests of the demo are called tour */
#define REVISION_OTHER BIT(0)  /* this bit flipped: another revision */
#define FIELD_NONE     0x6ffeu /* an encoding that no processor has */
#define NO_VMCS        ~0ull   /* the current-VMCS pointer when there is none */
#define SETTLE_US      1000    /* another core halts, an INIT arrives */
#define GUEST_US       100000  /* the tiny guest stays less than this */
#define GUEST_ENTRY    0x1000
#define GUEST_FRAMES (VMX_VCPU_FRAMES + 4 + 2) /* and its EPT: one page, the identity map */
#define RUNS_MAX       8
#define TEXT_MAX       100

enum kind {
    SUCCEEDS,       /* VMsucceed */
    VMFAIL_INVALID, /* no current VMCS to put an error number into */
    VMFAIL_VALID,   /* .number: the VM-instruction error */
    FAULTS,         /* .number: the exception's vector */
    POINTS_NOWHERE, /* VMPTRST stored ffff_ffff_ffff_ffff */
    POINTS_TO_VMCS, /* VMPTRST stored what VMPTRLD was given */
    POINTS_ASTRAY,
    STAYS_BLOCKED,  /* the processor goes on as if there were no INIT */
    EXITS,          /* .number: the basic exit reason */
    NOT_HERE,       /* .why this machine cannot show it: counts neither way */
};

struct outcome {
    enum kind kind;
    uint32_t number;
    const char *why;
};

struct tour {
    void (*ask_for_init)(void);
    struct vmx_capabilities capabilities;
    uint32_t *vmxon_region, *vmcs_region;
    struct frame_pool pool;
    struct ept ept;
    uint8_t *code;
    struct vmx_vcpu vcpu;
    unsigned number, counted, as_expected;
};

struct step {
    const char *what;
    const char *section; /* of the SDM */
    struct outcome (*try)(struct tour *tour);
    struct outcome expected;
};

uint64_t tour_on_image(uint64_t (*function)(uint64_t), uint64_t argument); /* tour_a20.asm */

/* ---- The instructions, with any outcome ------------------------------------------------------ */

static struct outcome try_vmread(uint32_t encoding, uint64_t *value);

static struct outcome outcome_of(uint32_t fault, bool invalid, bool valid)
{
    uint64_t error = 0;
    if (fault)
        return (struct outcome){.kind = FAULTS, .number = fault & ~(uint32_t)FAULTED};
    if (invalid)
        return (struct outcome){.kind = VMFAIL_INVALID};
    if (!valid)
        return (struct outcome){.kind = SUCCEEDS};
    (void)try_vmread(VMCS_INSTRUCTION_ERROR, &error);
    return (struct outcome){.kind = VMFAIL_VALID, .number = (uint32_t)error};
}

static struct outcome try_vmread(uint32_t encoding, uint64_t *value)
{
    register uint32_t fault __asm__("r11");
    bool invalid, valid;
    uint64_t read = 0;
    __asm__ volatile(FAULT_SAFE("vmread %4, %1")
                     : "=&r"(fault), "+r"(read), "=@ccc"(invalid), "=@ccz"(valid)
                     : "r"((uint64_t)encoding));
    *value = read;
    return outcome_of(fault, invalid, valid);
}

#define POINTER_INSTRUCTION(name)                                                     \
    static struct outcome try_##name(uint64_t address)                                \
    {                                                                                 \
        register uint32_t fault __asm__("r11");                                       \
        bool invalid, valid;                                                          \
        __asm__ volatile(FAULT_SAFE(#name " %3")                                      \
                         : "=&r"(fault), "=@ccc"(invalid), "=@ccz"(valid)             \
                         : "m"(address)                                               \
                         : "memory");                                                 \
        return outcome_of(fault, invalid, valid);                                     \
    }
POINTER_INSTRUCTION(vmclear)
POINTER_INSTRUCTION(vmptrld)
#undef POINTER_INSTRUCTION

static void vmxoff(void)
{
    __asm__ volatile("vmxoff" : : : "cc", "memory");
}

static struct outcome try_vmxon(const void *region)
{
    uint32_t result = vmxon(virt_to_phys(region).value);
    if (result & FAULTED)
        return outcome_of(result, false, false);
    return outcome_of(0, result == 1, result == 2);
}

/* VMXON that must be refused: should it succeed, it is taken back. */
static struct outcome try_forbidden_vmxon(const struct tour *t)
{
    struct outcome outcome = try_vmxon(t->vmxon_region);
    if (outcome.kind == SUCCEEDS)
        vmxoff();
    return outcome;
}

/* ---- Outside VMX operation ------------------------------------------------------------------- */

static struct outcome vmxon_without_vmxe(struct tour *t)
{
    uint64_t cr4 = read_cr4();
    write_cr4(cr4 & ~CR4_VMXE);
    struct outcome outcome = try_forbidden_vmxon(t);
    write_cr4(cr4);
    return outcome;
}

static struct outcome vmxon_without_ne(struct tour *t)
{
    uint64_t cr0 = read_cr0();
    if (!(t->capabilities.cr0_fixed0 & CR0_NE))
        return (struct outcome){.kind = NOT_HERE, .why = "this processor does not fix CR0.NE"};
    write_cr0(cr0 & ~CR0_NE);
    struct outcome outcome = try_forbidden_vmxon(t);
    write_cr0(cr0);
    return outcome;
}

static struct outcome vmxon_with_other_revision(struct tour *t)
{
    *t->vmxon_region ^= REVISION_OTHER;
    struct outcome outcome = try_forbidden_vmxon(t);
    *t->vmxon_region ^= REVISION_OTHER;
    return outcome;
}

/* On the image's page tables and stack. Returns what vmxon() does, or NO_VMCS: A20 stays on. */
static uint64_t vmxon_masked(uint64_t region)
{
    uint64_t result = NO_VMCS;
    a20_set(false);
    if (!a20_is_on()) {
        result = vmxon(region);
        if (result == 0)
            vmxoff();
    }
    a20_set(true);
    return result;
}

static struct outcome vmxon_with_a20_masked(struct tour *t)
{
    static uint32_t region[PAGE_SIZE / sizeof(uint32_t)] __attribute__((aligned(PAGE_SIZE)));
    *region = *t->vmxon_region;
    time_delay_us(SETTLE_US); /* by then all others are halted: A20 is the whole machine's */
    uint64_t result = tour_on_image(vmxon_masked, (uint64_t)region - KERNEL_BASE);
    if (result == NO_VMCS)
        return (struct outcome){.kind = NOT_HERE, .why = "A20 cannot be masked on this machine"};
    if (result == 0)
        return (struct outcome){.kind = NOT_HERE, .why = "VMXON succeeds: no A20M# here"};
    return outcome_of((uint32_t)result & FAULTED ? (uint32_t)result : 0, result == 1, result == 2);
}

static const struct step outside[] = {
    {"VMXON with CR4.VMXE clear", "23.7", vmxon_without_vmxe,
     {.kind = FAULTS, .number = EXCEPTION_UD}},
    {"VMXON with a fixed bit of CR0 wrong: CR0.NE clear", "23.8", vmxon_without_ne,
     {.kind = FAULTS, .number = EXCEPTION_GP}},
    {"VMXON with A20 masked by port 0x92", "23.8", vmxon_with_a20_masked,
     {.kind = FAULTS, .number = EXCEPTION_GP}},
    {"VMXON with a wrong revision id in its region", "24.11.5", vmxon_with_other_revision,
     {.kind = VMFAIL_INVALID}},
};

/* ---- In VMX root operation ------------------------------------------------------------------- */

static struct outcome vmxon_in_order(struct tour *t)
{
    return try_vmxon(t->vmxon_region);
}

static struct outcome vmptrst(struct tour *t)
{
    uint64_t address = 0;
    __asm__ volatile("vmptrst %0" : "=m"(address) : : "cc");
    if (address == NO_VMCS)
        return (struct outcome){.kind = POINTS_NOWHERE};
    bool ours = address == virt_to_phys(t->vmcs_region).value;
    return (struct outcome){.kind = ours ? POINTS_TO_VMCS : POINTS_ASTRAY};
}

static struct outcome vmread_error(struct tour *t)
{
    uint64_t value;
    (void)t;
    return try_vmread(VMCS_INSTRUCTION_ERROR, &value);
}

static struct outcome vmptrld_in_order(struct tour *t)
{
    uint64_t address = virt_to_phys(t->vmcs_region).value;
    struct outcome cleared = try_vmclear(address);
    return cleared.kind == SUCCEEDS ? try_vmptrld(address) : cleared;
}

static struct outcome vmread_unsupported(struct tour *t)
{
    uint64_t value;
    (void)t;
    return try_vmread(FIELD_NONE, &value);
}

static struct outcome vmptrld_vmxon_region(struct tour *t)
{
    return try_vmptrld(virt_to_phys(t->vmxon_region).value);
}

/* Of the VMXON region's page only the address matters; this needs a page that is neither. */
static struct outcome vmptrld_other_revision(struct tour *t)
{
    *(uint32_t *)t->code = *t->vmcs_region ^ REVISION_OTHER;
    return try_vmptrld(virt_to_phys(t->code).value);
}

static struct outcome vmclear_misaligned(struct tour *t)
{
    return try_vmclear(virt_to_phys(t->vmcs_region).value + sizeof(uint32_t));
}

static struct outcome vmclear_vmxon_region(struct tour *t)
{
    return try_vmclear(virt_to_phys(t->vmxon_region).value);
}

static struct outcome clear_vmxe(struct tour *t)
{
    register uint32_t fault __asm__("r11");
    uint64_t cr4 = read_cr4();
    (void)t;
    __asm__ volatile(FAULT_SAFE("movq %1, %%cr4")
                     : "=&r"(fault)
                     : "r"(cr4 & ~CR4_VMXE)
                     : "memory");
    if (!fault)
        write_cr4(cr4);
    return outcome_of(fault, false, false);
}

static struct outcome vmread_after_vmxoff(struct tour *t)
{
    uint64_t value;
    (void)try_vmclear(virt_to_phys(t->vmcs_region).value); /* its page is freed: nothing cached */
    vmxoff();
    return try_vmread(VMCS_INSTRUCTION_ERROR, &value);
}

static const struct step enter_root = {
    "VMXON with all in order: into VMX root operation", "23.7", vmxon_in_order, {.kind = SUCCEEDS}};

static const struct step in_root[] = {
    {"VMPTRST before any VMPTRLD", "24.1", vmptrst, {.kind = POINTS_NOWHERE}},
    {"VMREAD without a current VMCS", "30.3", vmread_error, {.kind = VMFAIL_INVALID}},
    {"VMCLEAR and VMPTRLD of a VMCS", "24.1", vmptrld_in_order, {.kind = SUCCEEDS}},
    {"VMPTRST after VMPTRLD", "24.1", vmptrst, {.kind = POINTS_TO_VMCS}},
    {"VMREAD of a field that does not exist, 0x6ffe", "30.3", vmread_unsupported,
     {.kind = VMFAIL_VALID, .number = 12}},
    {"VMPTRLD of the VMXON region", "30.3", vmptrld_vmxon_region,
     {.kind = VMFAIL_VALID, .number = 10}},
    {"VMPTRLD of a VMCS with a wrong revision id", "30.3", vmptrld_other_revision,
     {.kind = VMFAIL_VALID, .number = 11}},
    {"VMCLEAR of a misaligned address", "30.3", vmclear_misaligned,
     {.kind = VMFAIL_VALID, .number = 2}},
    {"VMCLEAR of the VMXON region", "30.3", vmclear_vmxon_region,
     {.kind = VMFAIL_VALID, .number = 3}},
    {"VMXON in VMX root operation", "30.3", vmxon_in_order,
     {.kind = VMFAIL_VALID, .number = 15}},
    {"MOV to CR4 that clears VMXE in VMX operation", "23.7", clear_vmxe,
     {.kind = FAULTS, .number = EXCEPTION_GP}},
    {"VMXOFF, then VMREAD", "23.7", vmread_after_vmxoff, {.kind = FAULTS, .number = EXCEPTION_UD}},
};

/* ---- With a guest of one instruction --------------------------------------------------------- */

static void back_to_run(struct vmx_vcpu *vcpu)
{
    (void)vcpu;
}

/* Enters the guest; interrupts that end its stay are handled and do not count. Every entry comes
 * back: HLT exits, and so does the preemption timer where there is one. */
static struct outcome run(struct tour *t)
{
    char error[VMX_ERROR_MAX];
    struct vm_exit exit;
    t->vcpu.on_exit = back_to_run;
    for (unsigned i = 0; i < RUNS_MAX; i++) {
        (void)vmx_preemption_set(&t->vcpu, time_us_to_ticks(GUEST_US));
        if (vmx_run(&t->vcpu, error))
            return outcome_of(0, false, true);
        vmx_exit_read(&t->vcpu, &exit);
        if (exit.reason != EXIT_EXTERNAL_INTERRUPT)
            break;
        interrupt_handle(exit.interruption_info & INFO_VECTOR);
    }
    return (struct outcome){.kind = EXITS, .number = exit.reason};
}

/* Which instruction enters the guest hangs on what is remembered of the VMCS: tell a lie. */
static struct outcome run_as(struct tour *t, bool launched)
{
    bool really = t->vcpu.vmcs.launched;
    t->vcpu.vmcs.launched = launched;
    struct outcome outcome = run(t);
    if (outcome.kind != EXITS)
        t->vcpu.vmcs.launched = really;
    return outcome;
}

static struct outcome vmresume_of_clear(struct tour *t)
{
    return run_as(t, true);
}

static struct outcome vmlaunch_of_launched(struct tour *t)
{
    return run_as(t, false);
}

static struct outcome receive_init(struct tour *t)
{
    if (!t->ask_for_init)
        return (struct outcome){.kind = NOT_HERE, .why = "it takes a second core to send one"};
    t->ask_for_init();
    time_delay_us(SETTLE_US); /* had it an effect, this processor would now wait for a SIPI */
    return (struct outcome){.kind = STAYS_BLOCKED};
}

/* Blocked is not gone: a processor holds the INIT until root operation ends, and VMXOFF would be
 * its reset. A VM entry takes it out as an exit. Emulators may drop what they block. */
static struct outcome enter_with_init_pending(struct tour *t)
{
    if (!t->ask_for_init)
        return (struct outcome){.kind = NOT_HERE, .why = "none was sent"};
    struct outcome first = run(t);
    if (first.kind == EXITS && first.number == EXIT_HLT)
        return (struct outcome){
            .kind = NOT_HERE,
            .why = "this machine drops what it blocks; a processor keeps it: exit 3"};
    return first;
}

static const struct step with_guest[] = {
    {"VMRESUME of a VMCS that is clear", "26.1", vmresume_of_clear,
     {.kind = VMFAIL_VALID, .number = 5}},
    {"VMLAUNCH of it: a guest that executes HLT", "26.1", run, {.kind = EXITS, .number = EXIT_HLT}},
    {"VMLAUNCH of a VMCS that is launched", "26.1", vmlaunch_of_launched,
     {.kind = VMFAIL_VALID, .number = 4}},
    {"an INIT sent to this core in VMX root operation", "23.8", receive_init,
     {.kind = STAYS_BLOCKED}},
    {"VM entry with that INIT pending", "25.2", enter_with_init_pending,
     {.kind = EXITS, .number = EXIT_INIT_SIGNAL}},
};

/* ---- The walk -------------------------------------------------------------------------------- */

static const char *exception_name(uint32_t vector)
{
    switch (vector) {
    case EXCEPTION_UD:
        return "#UD";
    case EXCEPTION_GP:
        return "#GP";
    case EXCEPTION_PF:
        return "#PF";
    default:
        return "an exception";
    }
}

static void describe(char text[TEXT_MAX], const struct outcome *o)
{
    static const char *const plain[] = {
        [SUCCEEDS] = "VMsucceed",
        [VMFAIL_INVALID] = "VMfailInvalid",
        [POINTS_NOWHERE] = "ffff_ffff_ffff_ffff",
        [POINTS_TO_VMCS] = "the address of that VMCS",
        [POINTS_ASTRAY] = "an address that is no VMCS's",
        [STAYS_BLOCKED] = "blocked, the core goes on",
    };
    if (o->kind == VMFAIL_VALID)
        snprintf(text, TEXT_MAX, "VMfailValid, error %u (%s)", o->number,
                 vmx_instruction_error_name(o->number));
    else if (o->kind == FAULTS)
        snprintf(text, TEXT_MAX, "%s", exception_name(o->number));
    else if (o->kind == EXITS)
        snprintf(text, TEXT_MAX, "VM exit %u (%s)", o->number, vmx_exit_name(o->number));
    else
        snprintf(text, TEXT_MAX, "%s", o->kind == NOT_HERE ? o->why : plain[o->kind]);
}

/* Returns true when it went as expected. */
static bool take(struct tour *t, const struct step *step)
{
    char got[TEXT_MAX], expected[TEXT_MAX];
    struct outcome outcome = step->try(t);
    bool right = outcome.kind == step->expected.kind && outcome.number == step->expected.number;
    t->number++;
    describe(got, &outcome);
    describe(expected, &step->expected);
    if (outcome.kind == NOT_HERE) {
        log_line(SUBJECT, "%u %s (SDM %s): not shown, %s", t->number, step->what, step->section,
                 got);
        return false;
    }
    t->counted++;
    t->as_expected += right;
    if (right)
        log_line(SUBJECT, "%u %s (SDM %s): %s, as it must be", t->number, step->what,
                 step->section, got);
    else
        log_line(SUBJECT, "%u %s (SDM %s): FAILURE, %s instead of %s", t->number, step->what,
                 step->section, got, expected);
    return right;
}

static void take_all(struct tour *t, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)take(t, &steps[i]);
}

/* A vCPU whose only page holds HLT, bound. Returns false with a line in `error`. */
static bool create_guest(struct tour *t, char error[VMX_ERROR_MAX])
{
    snprintf(error, VMX_ERROR_MAX, "no memory for its EPT");
    if (frame_pool_create(&t->pool, GUEST_FRAMES) ||
        ept_create(&t->ept, FRAME_ORDER_4K, &t->pool)) {
        frame_pool_destroy(&t->pool);
        return false;
    }
    t->code[0] = 0xf4; /* HLT */
    if (ept_map(&t->ept, GPA(GUEST_ENTRY), virt_to_phys(t->code), FRAME_ORDER_4K, EPT_RX, EPT_WB) ||
        vmx_vcpu_create(&t->vcpu, &t->ept, &t->pool, 0, 0, error)) {
        ept_destroy(&t->ept);
        frame_pool_destroy(&t->pool);
        return false;
    }
    vmx_start_protected(&t->vcpu, GPA(GUEST_ENTRY), 0);
    vmx_bind(&t->vcpu);
    return true;
}

static void destroy_guest(struct tour *t)
{
    vmx_flush(&t->vcpu); /* the frames of this EPT will be those of another */
    vmx_unbind(&t->vcpu);
    vmx_unload(&t->vcpu);
    vmx_vcpu_destroy(&t->vcpu);
    ept_destroy(&t->ept);
    frame_pool_destroy(&t->pool);
}

static void tour_with_guest(struct tour *t)
{
    char error[VMX_ERROR_MAX];
    struct vmx_features features;
    if (vmx_cpu_enable(&features, error)) {
        log_line(SUBJECT, "it ends before the first guest: %s", error);
        return;
    }
    if (create_guest(t, error)) {
        take_all(t, with_guest, ARRAY_SIZE(with_guest));
        destroy_guest(t);
    } else {
        log_line(SUBJECT, "it ends without a guest: %s", error);
    }
    vmx_cpu_disable();
}

static void walk(struct tour *t)
{
    char error[VMX_ERROR_MAX];
    if (vmx_feature_control(error)) {
        log_line(SUBJECT, "it ends before the first step: %s", error);
        return;
    }
    vmx_capabilities_read(&t->capabilities);
    vmx_fix_control_registers(&t->capabilities);
    *t->vmxon_region = *t->vmcs_region = vmx_features_from(&t->capabilities).revision;

    take_all(t, outside, ARRAY_SIZE(outside));
    if (!take(t, &enter_root))
        return;
    take_all(t, in_root, ARRAY_SIZE(in_root));
    tour_with_guest(t);
    log_line(SUBJECT, "%u of %u steps as the SDM says", t->as_expected, t->counted);
}

void vmx_tour(void (*ask_for_init)(void))
{
    static struct tour tour; /* one processor takes it */
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();
    if (!vmx_supported()) {
        log_line(SUBJECT, "it ends before the first step: the processor has no VMX");
        return;
    }
    tour = (struct tour){.ask_for_init = ask_for_init,
                         .vmxon_region = page_alloc(),
                         .vmcs_region = page_alloc(),
                         .code = page_alloc()};
    if (tour.vmxon_region && tour.vmcs_region && tour.code)
        walk(&tour);
    else
        log_line(SUBJECT, "it ends before the first step: no memory");
    write_cr0(cr0);
    write_cr4(cr4);
    if (tour.vmxon_region)
        page_free(tour.vmxon_region);
    if (tour.vmcs_region)
        page_free(tour.vmcs_region);
    if (tour.code)
        page_free(tour.code);
}
