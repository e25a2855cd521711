/* SPDX-License-Identifier: MIT */
/* The steps of the tour, in the order of the basic exit reasons (SDM Vol. 3D Appendix C). Section
 * numbers are those of the SDM's editions of 2019 to 2022, where chapter 25 is VMX non-root
 * operation. A step is a function and its row in the table at the end. */
#include <stdarg.h>

#include "guests/tour/tour.h"

#define PROBE_WAIT_US  4000 /* until a signal of another core has arrived */
#define SLICE_SPIN_US  3000  /* longer than the time slice of 1 ms */
#define UNOWNED_PORT   0x80
#define ALL_ONES       0xffffffffu
#define UNKNOWN_CALL   0xdeadu
#define XCR0_X87       1u
#define XCR0_SSE       2u
#define DR6_BS         BIT(14)
#define DR7_RESERVED_1 BIT(10)
#define EFER_RESERVED  BIT(1)
#define CR3_RESERVED   BIT(62)

static uint8_t region[4096] __attribute__((aligned(4096)));

/* The line below a step's announcement, and its result. */
__attribute__((format(printf, 2, 3))) static enum result outcome(bool good, const char *format, ...)
{
    char text[80];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    printf("  %s%s\n", good ? "" : "NOT AS EXPECTED: ", text);
    return good ? AS_EXPECTED : NOT_AS_EXPECTED;
}

static enum result skipped(const char *why)
{
    printf("  skipped: %s\n", why);
    return SKIPPED;
}

static enum result expect_ud(int vector)
{
    return outcome(vector == VECTOR_UD, "got %s, as a processor without it would",
                   exception_name(vector));
}

static enum result expect_only_ud(int vector)
{
    return outcome(vector == VECTOR_UD, "got %s", exception_name(vector));
}

static enum result expect_gp(int vector)
{
    return outcome(vector == VECTOR_GP, "got %s", exception_name(vector));
}

static enum result expect_none(int vector)
{
    return outcome(vector == NO_EXCEPTION, "got %s", exception_name(vector));
}

/* An instruction that CPUID shows works; one that CPUID hides does not exist. */
static enum result expect_what_cpuid_says(struct cpuid_feature feature, int vector)
{
    if (cpu_has(feature))
        return outcome(vector == NO_EXCEPTION, "CPUID shows it: got %s", exception_name(vector));
    return outcome(vector == VECTOR_UD, "CPUID hides it: got %s", exception_name(vector));
}

/* Steps that are one instruction: NAME(), what is expected of it, the instruction as in ATTEMPT. */
#define INSTRUCTION(name, expect, ...)                                                             \
    static enum result name(void)                                                                  \
    {                                                                                              \
        return expect(ATTEMPT(__VA_ARGS__));                                                       \
    }

#define FEATURE(name, feature, ...)                                                                \
    static enum result name(void)                                                                  \
    {                                                                                              \
        return expect_what_cpuid_says(feature, ATTEMPT(__VA_ARGS__));                              \
    }

INSTRUCTION(getsec, expect_ud, "getsec", : : "a"(0) : "rbx")
INSTRUCTION(invd, expect_none, "invd")
INSTRUCTION(wbinvd, expect_none, "wbinvd")
INSTRUCTION(invlpg, expect_none, "invlpg %0", : : "m"(region))
INSTRUCTION(rdpmc, expect_gp, "rdpmc", : : "c"(0) : "rax", "rdx")
INSTRUCTION(rsm, expect_only_ud, "rsm")
INSTRUCTION(vmclear, expect_ud, "vmclear %0", : : "m"(region))
INSTRUCTION(vmlaunch, expect_ud, "vmlaunch")
INSTRUCTION(vmptrld, expect_ud, "vmptrld %0", : : "m"(region))
INSTRUCTION(vmptrst, expect_ud, "vmptrst %0", : "+m"(region))
INSTRUCTION(vmread, expect_ud, "vmread %%rax, %%rdx", : : "a"(0) : "rdx")
INSTRUCTION(vmresume, expect_ud, "vmresume")
INSTRUCTION(vmwrite, expect_ud, "vmwrite %%rdx, %%rax", : : "a"(0), "d"(0))
INSTRUCTION(vmxoff, expect_ud, "vmxoff")
INSTRUCTION(vmxon, expect_ud, "vmxon %0", : : "m"(region))
INSTRUCTION(invept, expect_ud, "invept %0, %1", : : "m"(region), "r"(1ul))
INSTRUCTION(invvpid, expect_ud, "invvpid %0, %1", : : "m"(region), "r"(1ul))
INSTRUCTION(vmfunc, expect_ud, "vmfunc", : : "a"(0), "c"(0))

FEATURE(mwait, CPUID_MONITOR, "mwait", : : "a"(0), "c"(0))
FEATURE(monitor, CPUID_MONITOR, "monitor", : : "a"(region), "c"(0), "d"(0))
FEATURE(rdtscp, CPUID_RDTSCP, "rdtscp", : : : "rax", "rcx", "rdx")
FEATURE(rdrand, CPUID_RDRAND, "rdrand %%rax", : : : "rax")
FEATURE(rdseed, CPUID_RDSEED, "rdseed %%rax", : : : "rax")
FEATURE(invpcid, CPUID_INVPCID, "invpcid %0, %1", : : "m"(region), "r"(2ul))
FEATURE(encls, CPUID_SGX, "encls", : : "a"(0) : "rbx", "rcx", "rdx")
FEATURE(umwait, CPUID_WAITPKG, "umwait %%ecx", : : "a"(0), "d"(0), "c"(0))
FEATURE(tpause, CPUID_WAITPKG, "tpause %%ecx", : : "a"(0), "d"(0), "c"(0))

static enum result probe(enum atoll_probe signal)
{
    int64_t error = atoll_probe(signal);

    if (error == -ENOSYS)
        return skipped("the hypervisor was started without the option `tour`");
    if (error == -ENODEV)
        return skipped("no second core could send it");
    if (error)
        return outcome(false, "the call returned %ld", error);
    uint64_t start = now_ns();
    spin_us(PROBE_WAIT_US);
    return outcome(true, "span for %lu us and noticed nothing", (now_ns() - start) / 1000);
}

static enum result interrupt(void)
{
    return probe(ATOLL_PROBE_INTERRUPT);
}

static enum result nmi(void)
{
    return probe(ATOLL_PROBE_NMI);
}

static enum result init_signal(void)
{
    return probe(ATOLL_PROBE_INIT);
}

static enum result cpuid_step(void)
{
    struct cpuid r = cpuid(ATOLL_CPUID_BASE, 0);
    bool right = cpu_has(CPUID_GUEST) && !cpu_has(CPUID_VMX) && !cpu_has(CPUID_SMX) &&
                 !cpu_has(CPUID_SVM) && !cpu_has(CPUID_SGX) &&
                 memcmp(&r.ebx, ATOLL_SIGNATURE, 4) == 0;

    return outcome(right, "signature \"%.4s...\"; VMX, SMX, SVM, SGX %s", (const char *)&r.ebx,
                   right ? "hidden" : "visible?");
}

static enum result vmcall(void)
{
    int64_t null = atoll_null();
    int64_t unknown = atoll_call0(UNKNOWN_CALL);
    int64_t outside = atoll_console_write((const char *)guest_ram_end() - 1, 2);
    int64_t wrapped = atoll_console_write((const char *)UINT64_MAX, 2);
    int64_t too_long = atoll_console_write((const char *)region, ATOLL_CONSOLE_MAX + 1);

    return outcome(null == 0 && unknown == -ENOSYS && outside == -EFAULT && wrapped == -EFAULT &&
                       too_long == -EINVAL,
                   "null %ld, unknown %ld, outside RAM %ld, wrapped %ld, too long %ld", null,
                   unknown, outside, wrapped, too_long);
}

static enum result mov_cr0(void)
{
    uint64_t cr0 = read_cr0();

    write_cr0(cr0 & ~X86_CR0_WP);
    bool changed = !(read_cr0() & X86_CR0_WP);
    write_cr0(cr0);
    return outcome(changed && read_cr0() == cr0, "CR0.WP cleared and set again, CR0=0x%lx", cr0);
}

static enum result mov_cr0_invalid(void)
{
    return expect_gp(ATTEMPT("mov %0, %%cr0", : : "r"(read_cr0() & ~(uint64_t)X86_CR0_PE)));
}

/* No SSE instruction may run while CR0.TS is set. */
static enum result clts_lmsw_smsw(void)
{
    uint64_t with_ts, without_ts;

    __asm__ volatile("smsw %%rax\n"
                     "or %2, %%eax\n"
                     "lmsw %%ax\n"
                     "smsw %0\n"
                     "clts\n"
                     "smsw %1\n"
                     : "=&r"(with_ts), "=&r"(without_ts)
                     : "i"(X86_CR0_TS)
                     : "rax", "memory");
    return outcome((with_ts & X86_CR0_TS) && !(without_ts & X86_CR0_TS),
                   "LMSW set CR0.TS, CLTS cleared it, SMSW saw both");
}

static enum result mov_cr3(void)
{
    uint64_t cr3 = read_cr3();

    memcpy(region, (const void *)ALIGN_DOWN(cr3, PAGE_SIZE), PAGE_SIZE);
    write_cr3((uintptr_t)region);
    uint64_t other = read_cr3();
    write_cr3(cr3);
    return outcome(other == (uintptr_t)region && read_cr3() == cr3,
                   "ran on other page tables at 0x%lx and came back", other);
}

static enum result mov_cr3_invalid(void)
{
    return expect_gp(ATTEMPT("mov %0, %%cr3", : : "r"(read_cr3() | CR3_RESERVED) : "memory"));
}

static enum result mov_cr4(void)
{
    uint64_t cr4 = read_cr4();

    write_cr4(cr4 | X86_CR4_PGE);
    bool changed = read_cr4() == (cr4 | X86_CR4_PGE);
    write_cr4(cr4);
    return outcome(changed && !(cr4 & X86_CR4_VMXE), "CR4.PGE set and cleared; reads 0x%lx", cr4);
}

static enum result mov_cr4_vmxe(void)
{
    return expect_gp(ATTEMPT("mov %0, %%cr4", : : "r"(read_cr4() | X86_CR4_VMXE)));
}

static enum result mov_cr8(void)
{
    uint64_t before = read_cr8();

    write_cr8(before ^ 5);
    uint64_t changed = read_cr8();
    write_cr8(before);
    return outcome(changed == (before ^ 5) && read_cr8() == before, "task priority %lu, then %lu",
                   changed, before);
}

static enum result mov_dr(void)
{
    uint64_t before = read_dr0();

    write_dr0((uintptr_t)region);
    uint64_t seen = read_dr0();
    write_dr0(before);
    return outcome(seen == (uintptr_t)region && (read_dr7() & DR7_RESERVED_1),
                   "DR0 holds what was written, DR7=0x%lx", read_dr7());
}

static enum result in_out(void)
{
    out8(UNOWNED_PORT, 0x55);
    out8(0x70, 0);
    out32(0xcf8, BIT(31));
    uint8_t post = in8(UNOWNED_PORT), cmos = in8(0x71);
    uint16_t word = in16(UNOWNED_PORT);
    uint32_t pci = in32(0xcfc);

    return outcome(post == 0xff && cmos == 0xff && word == 0xffff && pci == ALL_ONES,
                   "ports 0x80, 0x71 and 0xcfc read 0x%x, 0x%x, 0x%x", post, cmos, pci);
}

static enum result ins_outs(void)
{
    void *to = region;
    const void *from = region;
    uint64_t in_count = 4, out_count = 4;

    memset(region, 0, 8);
    int out_vector = ATTEMPT("rep outsb",
                             : "+S"(from), "+c"(out_count)
                             : "d"(UNOWNED_PORT)
                             : "memory");
    int in_vector = ATTEMPT("rep insb", : "+D"(to), "+c"(in_count) : "d"(UNOWNED_PORT) : "memory");
    return outcome(out_vector == VECTOR_GP && in_vector == VECTOR_GP && region[0] == 0,
                   "REP OUTSB: %s, REP INSB: %s", exception_name(out_vector),
                   exception_name(in_vector));
}

static int try_rdmsr(uint32_t msr)
{
    return ATTEMPT("rdmsr", : : "c"(msr) : "rax", "rdx");
}

static int try_wrmsr(uint32_t msr, uint64_t value)
{
    return ATTEMPT("wrmsr", : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static enum result rdmsr_allowed(void)
{
    uint64_t efer = rdmsr(MSR_EFER);

    return outcome(efer & EFER_SCE, "EFER reads 0x%lx", efer);
}

static enum result rdmsr_denied(void)
{
    int basic = try_rdmsr(MSR_VMX_BASIC), control = try_rdmsr(MSR_FEATURE_CONTROL);

    return outcome(basic == VECTOR_GP && control == VECTOR_GP,
                   "IA32_VMX_BASIC: %s, IA32_FEATURE_CONTROL: %s", exception_name(basic),
                   exception_name(control));
}

static enum result wrmsr_allowed(void)
{
    uint64_t efer = rdmsr(MSR_EFER), fs_base = rdmsr(MSR_FS_BASE);

    wrmsr(MSR_EFER, efer & ~(uint64_t)EFER_SCE);
    wrmsr(MSR_FS_BASE, (uintptr_t)region);
    bool changed =
        rdmsr(MSR_EFER) == (efer & ~(uint64_t)EFER_SCE) && rdmsr(MSR_FS_BASE) == (uintptr_t)region;
    wrmsr(MSR_EFER, efer);
    wrmsr(MSR_FS_BASE, fs_base);
    return outcome(changed && rdmsr(MSR_EFER) == efer,
                   "EFER.SCE and FS base change and change back");
}

static enum result wrmsr_denied(void)
{
    int control = try_wrmsr(MSR_FEATURE_CONTROL, 5);
    int efer = try_wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_RESERVED);
    int base = try_wrmsr(MSR_FS_BASE, BIT(63)); /* not canonical */

    return outcome(control == VECTOR_GP && efer == VECTOR_GP && base == VECTOR_GP,
                   "feature control: %s, EFER bit 1: %s, FS base: %s", exception_name(control),
                   exception_name(efer), exception_name(base));
}

static enum result pause_loop(void)
{
    for (int i = 0; i < 3000; i++)
        cpu_pause();
    return outcome(true, "3000 turns");
}

static enum result rdtsc_step(void)
{
    uint64_t first = rdtsc(), second = rdtsc();

    return outcome(second > first, "%lu ticks between two of them", second - first);
}

static enum result time_slice(void)
{
    uint64_t start = now_ns();

    spin_us(SLICE_SPIN_US);
    return outcome(true, "kept the core busy for %lu us", (now_ns() - start) / 1000);
}

static int try_xsetbv(uint32_t index, uint32_t value)
{
    return ATTEMPT("xsetbv", : : "c"(index), "a"(value), "d"(0));
}

static enum result xsetbv_good(void)
{
    uint64_t cr4 = read_cr4();

    if (!cpu_has(CPUID_XSAVE))
        return expect_ud(try_xsetbv(0, XCR0_X87 | XCR0_SSE));
    write_cr4(cr4 | X86_CR4_OSXSAVE);
    int vector = try_xsetbv(0, XCR0_X87 | XCR0_SSE);
    write_cr4(cr4);
    return expect_none(vector);
}

static enum result xsetbv_bad(void)
{
    uint64_t cr4 = read_cr4();

    if (!cpu_has(CPUID_XSAVE))
        return skipped("CPUID hides XSAVE");
    write_cr4(cr4 | X86_CR4_OSXSAVE);
    int without_x87 = try_xsetbv(0, XCR0_SSE), no_register = try_xsetbv(7, XCR0_X87);
    write_cr4(cr4);
    return outcome(without_x87 == VECTOR_GP && no_register == VECTOR_GP,
                   "XCR0 without x87: %s, XCR7: %s", exception_name(without_x87),
                   exception_name(no_register));
}

static enum result xsaves(void)
{
    uint64_t cr4 = read_cr4();

    if (cpu_has(CPUID_XSAVE))
        write_cr4(cr4 | X86_CR4_OSXSAVE);
    memset(region, 0, sizeof(region));
    int vector = ATTEMPT("xsaves64 %0", : "+m"(region) : "a"(0), "d"(0));
    write_cr4(cr4);
    return expect_what_cpuid_says(CPUID_XSAVES, vector);
}

static enum result descriptor_tables(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdt, idt;
    uint16_t ldt, tr;

    __asm__ volatile("sgdt %0\n"
                     "sidt %1\n"
                     "sldt %2\n"
                     "str %3"
                     : "=m"(gdt), "=m"(idt), "=m"(ldt), "=m"(tr));
    return outcome(tr == SELECTOR_TSS && ldt == 0, "GDT 0x%lx, IDT 0x%lx, LDT 0x%x, TR 0x%x",
                   gdt.base, idt.base, ldt, tr);
}

static uint64_t trap_count, trap_rip;

static bool on_trap(struct exception_frame *frame)
{
    trap_count++;
    trap_rip = frame->rip;
    frame->rflags &= ~(uint64_t)X86_EFLAGS_TF;
    return true;
}

static enum result breakpoint(void)
{
    trap_count = 0;
    exception_handler_set(VECTOR_BP, on_trap);
    __asm__ volatile("int3" : : : "memory");
    exception_handler_set(VECTOR_BP, NULL);
    return outcome(trap_count == 1, "#BP came once and the guest handled it");
}

/* Single-steps one instruction, with EAX 0. POPF sets TF; the trap comes behind the instruction
 * after it. */
#define STEP_OVER(instruction)                                                                     \
    ({                                                                                             \
        uint64_t expected_rip_, rax_ = 0;                                                          \
        trap_count = 0;                                                                            \
        write_dr6(0);                                                                              \
        exception_handler_set(VECTOR_DB, on_trap);                                                 \
        __asm__ volatile("lea 1f(%%rip), %0\n"                                                     \
                         "pushf\n"                                                                 \
                         "orq %2, (%%rsp)\n"                                                       \
                         "popf\n" instruction "\n"                                                 \
                         "1: nop\n"                                                                \
                         "nop\n"                                                                   \
                         : "=&r"(expected_rip_), "+a"(rax_)                                        \
                         : "i"(X86_EFLAGS_TF)                                                      \
                         : "memory", "cc", "rbx", "rcx", "rdx");                                   \
        exception_handler_set(VECTOR_DB, NULL);                                                    \
        trapped_behind(expected_rip_);                                                             \
    })

static enum result trapped_behind(uint64_t rip)
{
    uint64_t dr6 = read_dr6();

    return outcome(trap_count == 1 && trap_rip == rip && (dr6 & DR6_BS),
                   "#DB came %lu time(s), %ld bytes behind it, DR6=0x%lx", trap_count,
                   (long)(trap_rip - rip), dr6);
}

static enum result single_step(void)
{
    return STEP_OVER("nop");
}

static enum result single_step_cpuid(void)
{
    return STEP_OVER("cpuid");
}

struct user_page user_page __attribute__((aligned(4096)));
static int user_vector;
static uint64_t user_rip;

static bool leave_user_mode(struct exception_frame *frame)
{
    if (frame->cs != SELECTOR_USER_CODE)
        return false;
    user_vector = (int)frame->vector;
    user_rip = frame->rip;
    frame->rip = (uintptr_t)user_mode_leave;
    frame->rsp = user_mode_rsp;
    frame->cs = SELECTOR_CODE64;
    frame->ss = SELECTOR_DATA;
    frame->rflags &= ~(uint64_t)X86_EFLAGS_AC;
    return true;
}

static enum result alignment_check(void)
{
    static const unsigned vectors[] = {VECTOR_AC, VECTOR_UD, VECTOR_GP, VECTOR_PF};
    uint64_t cr0 = read_cr0();

    user_page.call_result = 1;
    page_protect(&user_page, PAGE_READ | PAGE_WRITE | PAGE_USER);
    page_protect(user_code, PAGE_READ | PAGE_EXECUTE | PAGE_USER);
    write_cr0(cr0 | X86_CR0_AM);
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
        exception_handler_set(vectors[i], leave_user_mode);
    user_mode_enter(user_page.stack + sizeof(user_page.stack));
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
        exception_handler_set(vectors[i], NULL);
    write_cr0(cr0);
    page_protect(user_code, PAGE_READ | PAGE_EXECUTE);
    return outcome(user_vector == VECTOR_AC && user_rip == (uintptr_t)user_code_misaligned &&
                       user_page.call_result == -EPERM,
                   "VMCALL at CPL 3 returned %ld, a misaligned load got %s", user_page.call_result,
                   exception_name(user_vector));
}

const struct step steps[] = {
    {"an external interrupt", "25.2", "reason 1, belongs to the host", interrupt},
    {"an NMI", "25.2", "reason 0, belongs to the host", nmi},
    {"an INIT signal", "25.2", "reason 3, blocked while in root operation", init_signal},
    {"CPUID", "25.1.2", "exits always", cpuid_step},
    {"GETSEC", "25.1.2", "exits always; #UD first if CR4.SMXE is 0", getsec},
    {"INVD", "25.1.2", "exits always", invd},
    {"INVLPG", "25.1.3", "exits never here", invlpg},
    {"RDPMC", "25.1.3", "exits by RDPMC exiting, #GP", rdpmc},
    {"RDTSC", "25.1.3", "exits never here", rdtsc_step},
    {"RSM", "25.1.3", "#UD outside SMM", rsm},
    {"VMCALL", "25.1.2", "exits always: a call", vmcall},
    {"VMCLEAR", "25.1.2", "exits always", vmclear},
    {"VMLAUNCH", "25.1.2", "exits always", vmlaunch},
    {"VMPTRLD", "25.1.2", "exits always", vmptrld},
    {"VMPTRST", "25.1.2", "exits always", vmptrst},
    {"VMREAD", "25.1.3", "exits without VMCS shadowing", vmread},
    {"VMRESUME", "25.1.2", "exits always", vmresume},
    {"VMWRITE", "25.1.3", "exits without VMCS shadowing", vmwrite},
    {"VMXOFF", "25.1.2", "exits always", vmxoff},
    {"VMXON", "25.1.2", "exits always", vmxon},
    {"MOV to CR0", "25.1.3", "exits when a host-owned bit changes", mov_cr0},
    {"MOV to CR0, PE=0 with PG=1", "25.1.3", "#GP", mov_cr0_invalid},
    {"CLTS, LMSW, SMSW", "25.1.3", "exit when the host owns CR0.TS", clts_lmsw_smsw},
    {"MOV to and from CR3", "25.1.3", "exits never with EPT", mov_cr3},
    {"MOV to CR3, a reserved bit", "25.1.3", "#GP", mov_cr3_invalid},
    {"MOV to CR4", "25.1.3", "exits when a host-owned bit changes", mov_cr4},
    {"MOV to CR4 with VMXE", "25.1.3", "exits, #GP", mov_cr4_vmxe},
    {"MOV to and from CR8", "25.1.3", "exits by CR8-load/store exiting", mov_cr8},
    {"MOV DR", "25.1.3", "exits by MOV-DR exiting", mov_dr},
    {"IN and OUT", "25.1.3", "exit by I/O exiting; nobody answers", in_out},
    {"INS and OUTS", "25.1.3", "exit by I/O exiting, #GP", ins_outs},
    {"RDMSR of EFER", "25.1.3", "exits unless the bitmap allows it", rdmsr_allowed},
    {"RDMSR of denied MSRs", "25.1.3", "exits, #GP", rdmsr_denied},
    {"WRMSR of EFER and FS base", "25.1.3", "exits unless the bitmap allows it", wrmsr_allowed},
    {"WRMSR of what is denied", "25.1.3", "exits, #GP", wrmsr_denied},
    {"MONITOR", "25.1.3", "exits by MONITOR exiting", monitor},
    {"MWAIT", "25.1.3", "exits by MWAIT exiting", mwait},
    {"PAUSE in a loop", "25.1.3", "exits by PAUSE-loop exiting at most", pause_loop},
    {"SGDT, SIDT, SLDT, STR", "25.1.3", "exit by descriptor-table exiting", descriptor_tables},
    {"INVEPT", "25.1.2", "exits always", invept},
    {"RDTSCP", "25.1.3", "works if CPUID says so", rdtscp},
    {"a long computation", "25.5.1", "the VMX-preemption timer ends the slice", time_slice},
    {"INVVPID", "25.1.2", "exits always", invvpid},
    {"WBINVD", "25.1.3", "exits by WBINVD exiting", wbinvd},
    {"XSETBV", "25.1.2", "exits always", xsetbv_good},
    {"XSETBV, bad values", "25.1.2", "exits always, #GP", xsetbv_bad},
    {"RDRAND", "25.1.3", "exits by RDRAND exiting", rdrand},
    {"INVPCID", "25.1.3", "#UD unless enabled", invpcid},
    {"VMFUNC", "25.5.5", "#UD unless enabled", vmfunc},
    {"ENCLS", "25.1.3", "exits by its bitmap, #UD without SGX", encls},
    {"RDSEED", "25.1.3", "exits by RDSEED exiting", rdseed},
    {"XSAVES", "25.1.3", "#UD unless enabled", xsaves},
    {"UMWAIT", "25.1.3", "#UD unless enabled", umwait},
    {"TPAUSE", "25.1.3", "#UD unless enabled", tpause},
    {"INT3", "25.2", "exits if the exception bitmap says so", breakpoint},
    {"a single step", "25.2", "exits if the exception bitmap says so", single_step},
    {"a single step over CPUID", "25.3", "the trap survives the exit", single_step_cpuid},
    {"CPL 3: VMCALL and #AC", "25.1.1", "privilege is the call's to check", alignment_check},
};

const size_t step_count = ARRAY_SIZE(steps);
