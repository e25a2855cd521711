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
]
