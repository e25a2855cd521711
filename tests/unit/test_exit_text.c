/* SPDX-License-Identifier: MIT */
/* What the log says about an exit, reason by reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "vmx/instruction_error.h"
#include "vmx/vmx.h"

#define VALID 0x80000000u /* of interruption and IDT-vectoring information */

static const uint64_t registers[VMX_REGISTERS] = {
    [VMX_RAX] = 0x1111222233334444, [VMX_RCX] = 0xc0000080, [VMX_RDX] = 0xffffffff00000005,
    [VMX_RBX] = 0xb,                [VMX_R9] = 0x999,
};

static const struct {
    struct vm_exit exit;
    const char *text;
} cases[] = {
    /* exceptions, NMIs, interrupts */
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0xb0e, .error_code = 2,
      .qualification = 0xdead000},
     "#PF error=0x2 address=0xdead000 (write, not present)"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0xb0e, .error_code = 0x15,
      .qualification = 0x1000},
     "#PF error=0x15 address=0x1000 (user fetch, protection)"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0xb0e, .error_code = 0x29},
     "#PF error=0x29 address=0x0 (read, protection, reserved bit, protection key)"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0xb0d, .error_code = 0x18},
     "#GP error=0x18"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0x306}, "#UD"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0x301,
      .qualification = BIT(0) | BIT(3) | BIT(14)}, "#DB B0 B3 BS"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0x603}, "#BP"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0x501}, "#DB"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0x309}, "exception 9"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0x202}, "NMI"},
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = 0x306}, ""}, /* not valid */
    {{.reason = EXIT_EXCEPTION_OR_NMI, .interruption_info = VALID | 0x306,
      .idt_vectoring_info = VALID | 0xb0d, .idt_vectoring_error = 0x10},
     "#UD, while delivering #GP error=0x10"},
    {{.reason = EXIT_EXTERNAL_INTERRUPT, .interruption_info = VALID | 0x31}, "vector=0x31"},
    {{.reason = EXIT_EXTERNAL_INTERRUPT}, ""},
    {{.reason = EXIT_TRIPLE_FAULT}, ""},
    {{.reason = EXIT_INIT_SIGNAL}, ""},
    {{.reason = EXIT_SIPI, .qualification = 0x9f}, "vector=0x9f start=0x9f000"},
    {{.reason = EXIT_TASK_SWITCH, .qualification = 0x28}, "selector=0x28 by CALL"},
    {{.reason = EXIT_TASK_SWITCH, .qualification = 0xc0000030,
      .idt_vectoring_info = VALID | 0x408}, "selector=0x30 by task gate, while delivering INT 0x8"},

    /* instructions */
    {{.reason = EXIT_CPUID}, "leaf=0x33334444 subleaf=0xc0000080"},
    {{.reason = EXIT_HLT}, ""},
    {{.reason = EXIT_INVLPG, .qualification = 0x7000}, "linear=0x7000"},
    {{.reason = EXIT_RDPMC}, "counter=0xc0000080"},
    {{.reason = EXIT_VMCALL}, "number=0x1111222233334444"},
    {{.reason = EXIT_RDMSR}, "msr=0xc0000080 IA32_EFER"},
    {{.reason = EXIT_WRMSR}, "msr=0xc0000080 IA32_EFER value=0x533334444"},
    {{.reason = EXIT_RDMSR_IMMEDIATE, .qualification = 0x6e0}, "msr=0x6e0 IA32_TSC_DEADLINE"},
    {{.reason = EXIT_WRMSRNS_IMMEDIATE, .qualification = 0x822}, "msr=0x822 IA32_X2APIC_IRR+2"},
    {{.reason = EXIT_RDMSR_IMMEDIATE, .qualification = 0x11}, "msr=0x11"},
    {{.reason = EXIT_MWAIT, .qualification = 1}, "monitor armed"},
    {{.reason = EXIT_MWAIT}, "monitor not armed"},
    {{.reason = EXIT_XSETBV}, "xcr=3221225600 value=0x533334444"},
    {{.reason = EXIT_INVEPT, .instruction_info = 3u << 28}, "type in RBX=0xb"},
    {{.reason = EXIT_INVVPID, .instruction_info = 9u << 28}, "type in R9=0x999"},
    {{.reason = EXIT_VMREAD, .instruction_info = 3u << 28}, "field in RBX=0xb"},
    {{.reason = EXIT_RDRAND, .instruction_info = 2u << 11 | 9u << 3}, "to R9, 64 bits"},
    {{.reason = EXIT_GDTR_IDTR_ACCESS, .instruction_info = 3u << 28}, "LIDT"},
    {{.reason = EXIT_LDTR_TR_ACCESS, .instruction_info = 1u << 28}, "STR"},
    {{.reason = EXIT_UMWAIT}, "deadline=0x533334444"},
    {{.reason = EXIT_VMFUNC}, "leaf=0x33334444"},

    /* control and debug registers */
    {{.reason = EXIT_CR_ACCESS, .qualification = 0x300}, "MOV to CR0 from RBX=0xb"},
    {{.reason = EXIT_CR_ACCESS, .qualification = 0x404}, "MOV to CR4 from RSP"},
    {{.reason = EXIT_CR_ACCESS, .qualification = 0x913}, "MOV from CR3 to R9"},
    {{.reason = EXIT_CR_ACCESS, .qualification = 0x20}, "CLTS"},
    {{.reason = EXIT_CR_ACCESS, .qualification = 0x00010030}, "LMSW 0x1 from a register"},
    {{.reason = EXIT_CR_ACCESS, .qualification = 0xfff00070}, "LMSW 0xfff0 from memory"},
    {{.reason = EXIT_DR_ACCESS, .qualification = 0x307}, "MOV to DR7 from RBX=0xb"},
    {{.reason = EXIT_DR_ACCESS, .qualification = 0x916}, "MOV from DR6 to R9"},

    /* ports */
    {{.reason = EXIT_IO, .qualification = 0x00800040}, "port=0x80 out 1 byte value=0x44"},
    {{.reason = EXIT_IO, .qualification = 0x03f80001}, "port=0x3f8 out 2 bytes value=0x4444"},
    {{.reason = EXIT_IO, .qualification = 0x0cf80003}, "port=0xcf8 out 4 bytes value=0x33334444"},
    {{.reason = EXIT_IO, .qualification = 0x00600008}, "port=0x60 in 1 byte"},
    {{.reason = EXIT_IO, .qualification = 0x01f00039, .guest_linear = 0x5000},
     "port=0x1f0 rep ins 2 bytes linear=0x5000 count=0xc0000080"},

    /* memory */
    {{.reason = EXIT_EPT_VIOLATION, .qualification = 0x2, .guest_physical = 0x5000000},
     "gpa=0x5000000 write, not mapped"},
    {{.reason = EXIT_EPT_VIOLATION, .qualification = 0x18a, .guest_physical = 0x1000,
      .guest_linear = 0xffff1000}, "gpa=0x1000 write, page is r--, linear=0xffff1000"},
    {{.reason = EXIT_EPT_VIOLATION, .qualification = 0x9c, .guest_physical = 0x2000,
      .guest_linear = 0x3000},
     "gpa=0x2000 fetch, page is rw-, linear=0x3000 (in its page walk)"},
    {{.reason = EXIT_EPT_VIOLATION, .qualification = 0x3, .guest_physical = 0xfee00000},
     "gpa=0xfee00000 read and write, not mapped"},
    {{.reason = EXIT_EPT_VIOLATION, .qualification = 0x29, .guest_physical = 0xf000},
     "gpa=0xf000 read, page is r-x"},
    {{.reason = EXIT_EPT_VIOLATION, .qualification = 0x1, .guest_physical = 0x1000,
      .idt_vectoring_info = VALID | 0x30}, "gpa=0x1000 read, not mapped, while delivering "
                                           "external interrupt vector=0x30"},
    {{.reason = EXIT_EPT_MISCONFIGURATION, .guest_physical = 0x6000}, "gpa=0x6000"},
    {{.reason = EXIT_APIC_ACCESS, .qualification = 0x10b0}, "offset=0xb0 linear write"},
    {{.reason = EXIT_APIC_ACCESS, .qualification = 0x5000}, "type=5"},
    {{.reason = EXIT_VIRTUALIZED_EOI, .qualification = 0x41}, "vector=0x41"},
    {{.reason = EXIT_APIC_WRITE, .qualification = 0x300}, "offset=0x300"},
    {{.reason = EXIT_NOTIFY, .qualification = 1}, "VM context invalid"},

    /* failed entries and numbers that no table holds */
    {{.reason = EXIT_ENTRY_FAIL_GUEST_STATE, .entry_failed = true, .qualification = 4},
     "VMCS link pointer"},
    {{.reason = EXIT_ENTRY_FAIL_GUEST_STATE, .entry_failed = true}, ""},
    {{.reason = EXIT_ENTRY_FAIL_GUEST_STATE, .qualification = UINT64_MAX}, ""},
    {{.reason = EXIT_ENTRY_FAIL_MSR_LOADING, .qualification = 3},
     "entry 3 of the VM-entry MSR-load area"},
    {{.reason = 35, .qualification = 1}, ""},
    {{.reason = 0xffff}, ""},
};

static void every_case(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[200] = "old";
        int length = vmx_exit_describe(text, sizeof text, &cases[i].exit, registers);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(length, strlen(cases[i].text));
    }
}

/* However short the buffer, the text is its beginning and the length is the whole one's. */
static void short_buffers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t whole = strlen(cases[i].text);
        assert_int_equal(vmx_exit_describe(NULL, 0, &cases[i].exit, registers), whole);
        for (size_t size = 1; size <= whole + 1; size++) {
            char text[200];
            memset(text, '#', sizeof text);
            assert_int_equal(vmx_exit_describe(text, size, &cases[i].exit, registers), whole);
            assert_int_equal(strlen(text), size - 1);
            assert_memory_equal(text, cases[i].text, size - 1);
            assert_int_equal(text[size], '#');
        }
    }
}

/* Whatever a processor reports, the decoder stays within its tables (the sanitizers look). */
static void any_bits(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (uint32_t reason = 0; reason < 100; reason++) {
        for (unsigned n = 0; n < 500; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            char text[200];
            struct vm_exit exit = {
                .reason = reason,
                .qualification = n ? seed ^ seed >> 29 : UINT64_MAX,
                .interruption_info = n ? seed >> 32 : UINT32_MAX,
                .idt_vectoring_info = n ? seed >> 16 : UINT32_MAX,
                .instruction_info = n ? seed >> 24 : UINT32_MAX,
                .error_code = seed >> 8,
                .guest_linear = seed, .guest_physical = seed,
            };
            int length = vmx_exit_describe(text, sizeof text, &exit, registers);
            assert_in_range(length, 0, sizeof text - 1);
            assert_int_equal(strlen(text), length);
        }
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(vmx_exit_name(EXIT_CPUID), "CPUID");
    assert_string_equal(vmx_exit_name(0), "exception or NMI");
    assert_string_equal(vmx_exit_name(12), "HLT");
    assert_string_equal(vmx_exit_name(18), "VMCALL");
    assert_string_equal(vmx_exit_name(28), "CR access");
    assert_string_equal(vmx_exit_name(33), "VM-entry failure: invalid guest state");
    assert_string_equal(vmx_exit_name(48), "EPT violation");
    assert_string_equal(vmx_exit_name(52), "preemption timer");
    assert_string_equal(vmx_exit_name(55), "XSETBV");
    assert_string_equal(vmx_exit_name(75), "instruction timeout");
    assert_string_equal(vmx_exit_name(77), "TDCALL");
    static const uint32_t reserved[] = {35, 38, 42, 71, 82, 83, EXIT_REASONS, 0xffff, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(reserved); i++)
        assert_string_equal(vmx_exit_name(reserved[i]), "reserved");
}

static void cr_access_fields(void **state)
{
    (void)state;
    struct vmx_cr_access access = vmx_exit_cr_access(0x0abc0f48);
    assert_int_equal(access.cr, 8);
    assert_int_equal(access.type, CR_MOV_TO);
    assert_int_equal(access.gpr, VMX_R15);
    assert_true(access.lmsw_memory);
    assert_int_equal(access.lmsw_source, 0x0abc);
    assert_false(vmx_exit_cr_access(0x30).lmsw_memory);
    assert_int_equal(vmx_exit_cr_access(0x30).type, CR_LMSW);
    assert_int_equal(vmx_exit_cr_access(0x13).type, CR_MOV_FROM);
    assert_int_equal(vmx_exit_cr_access(0x20).type, CR_CLTS);
}

static void io_fields(void **state)
{
    (void)state;
    struct vmx_io io = vmx_exit_io(0xfffe0000ull | BIT(6) | BIT(3) | 3);
    assert_int_equal(io.port, 0xfffe);
    assert_int_equal(io.size, 4);
    assert_true(io.in);
    assert_false(io.string);
    assert_false(io.rep);
    assert_true(io.immediate);
    io = vmx_exit_io(BIT(4) | BIT(5));
    assert_int_equal(io.size, 1);
    assert_false(io.in);
    assert_true(io.string);
    assert_true(io.rep);
}

static void instruction_errors(void **state)
{
    (void)state;
    assert_string_equal(vmx_instruction_error_name(1), "VMCALL executed in VMX root operation");
    assert_string_equal(vmx_instruction_error_name(4), "VMLAUNCH with non-clear VMCS");
    assert_string_equal(vmx_instruction_error_name(7), "VM entry with invalid control field(s)");
    assert_string_equal(vmx_instruction_error_name(28), "invalid operand to INVEPT/INVVPID");
    static const uint32_t reserved[] = {0, 14, 21, 27, 29, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(reserved); i++)
        assert_string_equal(vmx_instruction_error_name(reserved[i]), "reserved");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case), cmocka_unit_test(short_buffers),
        cmocka_unit_test(any_bits),   cmocka_unit_test(names),
        cmocka_unit_test(io_fields),  cmocka_unit_test(cr_access_fields),
        cmocka_unit_test(instruction_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
