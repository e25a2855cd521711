# SPDX-License-Identifier: MIT
"""All cases of the hostile suite, one row each, by the numbers of the list they come from: A are
instructions that exit, B modes, C MSRs, D ports, E memory, F events, G the APIC, H calls, I virtio,
J scheduling and leaks, K faults of the host.

A row says what the guest does and how it must end: it survives (status 0, with all that it
expected), or a stop reason; several of them are the ends of its ways n=0, 1, ... A row without a
guest is skipped, with the reason, or held by tests of other suites, which are named.
"""

import dataclasses

SURVIVES = "survives"


@dataclasses.dataclass(frozen=True)
class Case:
    """A row. `keys` go on the guest's module line, `options` on the hypervisor's, `model` is
    Bochs'; cases that differ in these, or in `boot`, do not share a boot."""
    number: str
    statement: str
    ends: tuple = ()
    mem: str = "2M"
    keys: str = ""
    arguments: str = ""
    vcpus: int = 1
    options: str = ""
    model: str = ""
    boot: str = ""
    links: int = 0
    skip: str = ""
    elsewhere: tuple = ()


def guest(number, statement, *ends, **more):
    return Case(number, statement, ends or (SURVIVES,), **more)


def skip(number, statement, reason):
    return Case(number, statement, skip=reason)


def elsewhere(number, statement, *tests):
    """`tests` are "tests/FOLDER/FILE::NAME", in C or in Python."""
    return Case(number, statement, elsewhere=tests)


EPT = "EPT_VIOLATION"

CASES = [
    guest("A01", "CPUID over all leaves"),
    guest("A02", "VMX instructions at CPL 0 and 3"),
    guest("A03", "SVM instructions"),
    guest("A04", "calls of all numbers up to 70000, and too many in a row", SURVIVES,
          "BAD_HYPERCALL"),
    guest("A05", "calls from CPL 3"),
    guest("A06", "calls from compatibility mode"),
    guest("A07", "VMMCALL"),
    guest("A08", "VMFUNC"),
    guest("A09", "GETSEC"),
    guest("A10", "XSETBV of bad values"),
    guest("A11", "INVD and WBINVD"),
    guest("A12", "HLT with interrupts off", "HALTED_FOREVER"),
    guest("A13", "MONITOR, MWAIT and their like"),
    guest("A14", "PAUSE for ever", "OPERATOR"),
    guest("A15", "RDPMC"),
    guest("A16", "RDTSC, RDTSCP: time and TSC_AUX"),
    guest("A17", "RSM"),
    guest("A18", "INVLPG and INVPCID of what is none", SURVIVES, EPT),
    guest("A19", "SGDT, SIDT, SLDT, STR, SMSW"),
    guest("A20", "instructions that CPUID hides"),
    skip("A21", "a second vCPU rewrites the instruction of an MMIO exit",
         "no instruction is decoded for MMIO: there is no device in memory"),
    guest("A22", "accesses outside RAM by instructions of all forms", *[EPT] * 12),
    guest("A23", "CMPXCHG8B, CMPXCHG16B, BTS with a negative offset outside RAM", *[EPT] * 3),

    guest("B01", "CR0 with impossible bits"),
    guest("B02", "CR0.CD and NW with much memory access"),
    guest("B03", "CR4 with what a guest may not have"),
    guest("B04", "the bits of CR0 and CR4 that VMX fixes"),
    guest("B05", "CR3 with reserved bits, outside RAM, at the APIC, at the top", SURVIVES, EPT, EPT,
          EPT),
    guest("B06", "CR8 at 15 and a long computation"),
    guest("B07", "LMSW, SMSW, CLTS of all forms"),
    guest("B08", "breakpoints on addresses of the host"),
    guest("B09", "reserved bits of DR6 and DR7, DR7.GD"),
    guest("B10", "EFER with what a guest may not have"),
    guest("B11", "PAE paging with reserved bits in PDPTEs"),
    guest("B12", "through 32-bit, 16-bit and real mode and back, 300 times"),
    guest("B13", "odd segments across exits"),
    guest("B14", "null and odd LDTR, TR and SS"),

    guest("C01", "RDMSR of all numbers"),
    guest("C02", "WRMSR of all numbers"),
    guest("C03", "addresses that are not canonical in MSRs"),
    guest("C04", "IA32_APIC_BASE"),
    guest("C05", "all x2APIC MSRs"),
    guest("C06", "DEBUGCTL and branch records"),
    guest("C07", "PAT and MTRRs"),
    guest("C08", "TSC, TSC_ADJUST, TSC_DEADLINE"),
    guest("C09", "FEATURE_CONTROL and the MSRs of VMX and SVM"),
    guest("C10", "microcode update"),
    guest("C11", "SPEC_CTRL and its like"),
    guest("C12", "machine-check MSRs"),
    guest("C13", "performance monitoring"),
    guest("C14", "processor trace and last branches"),
    guest("C15", "MSRs of system management"),
    guest("C16", "power, heat and platform MSRs"),
    guest("C17", "patterns in the open MSRs, three guests at once", *[SURVIVES] * 3),
    skip("C18", "a clock page with a bad address", "there is no clock page and no call for one"),

    guest("D01", "IN and OUT on all ports"),
    guest("D02", "reset ports", *["GUEST_RESET"] * 5),
    guest("D03", "ACPI sleep and the emulator's shutdown port"),
    guest("D04", "SMI ports"),
    guest("D05", "PCI configuration space"),
    guest("D06", "PIC, PIT, RTC, ELCR"),
    guest("D07", "ISA DMA and the floppy disk"),
    guest("D08", "REP INS and OUTS without end"),
    guest("D09", "accesses beyond port 0xffff"),
    guest("D10", "ports of emulators"),
    guest("D11", "a flood of console lines, forged ones among them",
          options="conrate=20"),

    guest("E01", "edges of RAM, holes, the top of physical memory", *[EPT] * 15),
    guest("E02", "a write across the end of RAM", EPT, EPT),
    guest("E03", "a write to what EPT has read-only", EPT, EPT),
    guest("E04", "execution of what EPT has as data", EPT, EPT),
    guest("E05", "page tables outside RAM and in read-only pages", EPT, EPT),
    guest("E06", "reserved bits in page tables"),
    guest("E07", "recursive page tables and aliases"),
    guest("E08", "accesses across pages", mem="8M"),
    guest("E09", "what an earlier life left in memory",
          keys="control restart=always,limit=2,backoff=0"),
    skip("E10", "a page that is taken away while another vCPU uses it",
         "nothing is unmapped while a guest lives: no balloon, no revocable share"),
    elsewhere("E11", "VPIDs used again", "tests/boot/test_lifecycle.py::test_thousand_restarts"),
    skip("E12", "balloon calls", "there is no balloon"),
    skip("E13", "page sizes changed under execution",
         "a leaf is never changed while a guest lives; the erratum is not in an emulator"),
    skip("E14", "L1TF", "an emulator does not speculate; no mitigation is built in"),
    guest("E15", "all memory that was asked for, and more", EPT, mem="6M"),
    skip("E16", "cache types on shared pages", "the emulators have no caches"),

    guest("F01", "triple faults in 64-bit, 32-bit and real mode", *["TRIPLE_FAULT"] * 5),
    guest("F02", "a #DB whose delivery causes the next one", "OPERATOR"),
    elsewhere("F03", "a #AC whose delivery causes the next one: the exit by #AC is what breaks it",
              "tests/boot/test_demos.py::test_tour"),
    guest("F04", "all vectors by INT n, INT3, INT1, INTO"),
    elsewhere("F05", "the host's NMI while a guest runs, or is in its own NMI's handler",
              "tests/boot/test_guests.py::test_nmis_keep_coming",
              "tests/boot/test_interrupts.py::test_nmis_are_blocked_by_vcpu"),
    guest("F06", "exceptions, interrupts and NMIs on untouched stacks", mem="4M",
          options="apicv=off"),
    guest("F07", "INT n, INT3, INT1 on untouched stacks", mem="4M"),
    guest("F08", "a page fault whose gate is missing, and then #DF's", SURVIVES, "TRIPLE_FAULT"),
    guest("F09", "interrupts behind STI, MOV SS, HLT", options="apicv=off"),
    guest("F10", "single steps over what exits"),
    guest("F11", "an exit at the edge of canonical addresses"),
    guest("F12", "IRET, far RET, SYSRET to what is not canonical"),
    guest("F13", "task switches", *["TASK_SWITCH"] * 3),
    elsewhere("F14", "a guest state that entries refuse: no guest can reach one, no call sets fields",
              "tests/unit/test_audit.c::main"),
    skip("F15", "the MSR-load list of entries", "Atoll has none: its count is 0"),
    skip("F16", "a machine check during an entry", "the emulators have none"),
    skip("F17", "bad control fields by a test hook", "there is no hook that writes fields"),
    skip("F18", "a bad VMCB", "there is no backend for SVM"),
    guest("F19", "a flood of exceptions"),
    guest("F20", "a breakpoint on MOV SS, put off behind a call"),
    guest("F21", "an NMI and two interrupts at once", options="apicv=off"),
    guest("F22", "INIT to itself", *["GUEST_RESET"] * 3),
    elsewhere("F23", "reserved vectors by INT n: with F04", "tests/hostile/f04.c::vector"),
    elsewhere("F24", "undefined bits of what an exit interrupted",
              "tests/unit/test_injection.c::main"),
]
