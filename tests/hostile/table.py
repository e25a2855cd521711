# SPDX-License-Identifier: MIT
"""All cases of the hostile suite, one row each, by the numbers of the list they come from: A are
instructions that exit, B modes, C MSRs, D ports, E memory, F events, G the APIC, H calls, I virtio,
J scheduling and leaks, K faults of the host, M random guests.

A row says what the guest does and how it must end: it survives (status 0, with all that it
expected), a stop reason, ANY of them, PANIC, or REFUSED, if it never starts; several of them are
the ends of its ways n=0, 1, ... A row without a guest is skipped, with the reason, or held by tests
of other suites, which are named.
"""

import dataclasses

SURVIVES = "survives"
REFUSED = "REFUSED"
ANY = "any"    # that is no bug of the hypervisor
PANIC = "panic"  # of the hypervisor, which ends the boot
RESTRICTED = "corei5_lynnfield_750"  # without "unrestricted guest": Atoll does modes itself
BOTH = ("", RESTRICTED)
SEEDS = 12     # of random guests, by default


@dataclasses.dataclass(frozen=True)
class Case:
    """A row. `mem` is one size, or one for each way; `keys` go on the guest's module line,
    `options` on the hypervisor's, `models` are Bochs', one after the other ("" is the usual one).
    Cases that differ in options or model, or in `boot`, do not share a boot."""
    number: str
    statement: str
    ends: tuple = ()
    mem: str = "2M"
    keys: str = ""
    arguments: str = ""
    vcpus: int = 1
    options: str = ""
    models: tuple = ("",)
    boot: str = ""
    links: int = 0      # frames that its links hold for ever
    toll: float = 1     # the part of its due that the options leave to the witness
    says: tuple = ()    # patterns of lines that the hypervisor writes; {name}: the guest's
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
FAULTS = "selftest=faults"  # the hypervisor breaks itself where guests ask for it
FOUND = "atoll: frames: found: "

CASES = [
    guest("A01", "CPUID over all leaves and subleaves, on two cores", options="shuffle", toll=0.8),
    guest("A02", "VMX instructions at CPL 0 and 3"),
    guest("A03", "SVM instructions"),
    guest("A04", "calls of all numbers up to 70000, and too many in a row", SURVIVES,
          "BAD_HYPERCALL"),
    guest("A05", "calls from CPL 3"),
    guest("A06", "calls from compatibility, 32-bit, 16-bit, real mode with garbage above bit 31"),
    guest("A07", "VMMCALL"),
    guest("A08", "VMFUNC"),
    guest("A09", "GETSEC"),
    guest("A10", "XSETBV of bad values"),
    guest("A11", "INVD and WBINVD"),
    guest("A12", "HLT with interrupts off", "HALTED_FOREVER"),
    guest("A13", "MONITOR, MWAIT and their like"),
    guest("A14", "PAUSE for ever", "OPERATOR", boot="loops"),
    guest("A15", "RDPMC"),
    guest("A16", "RDTSC, RDTSCP, RDPID: time and TSC_AUX, in two lives",
          keys="control restart=always,limit=1,backoff=0"),
    guest("A17", "RSM"),
    guest("A18", "INVLPG and INVPCID of what is none", SURVIVES, EPT),
    guest("A19", "SGDT, SIDT, SLDT, STR, SMSW"),
    guest("A20", "instructions that CPUID hides"),
    guest("A21", "a second vCPU rewrites the instruction of an access outside RAM", EPT, vcpus=2),
    guest("A22", "accesses outside RAM by instructions of all forms", *[EPT] * 14),
    guest("A23", "CMPXCHG8B, CMPXCHG16B, BTS with a negative offset outside RAM", *[EPT] * 3),

    guest("B01", "CR0 with impossible bits", models=BOTH),
    guest("B02", "CR0.CD and NW with much memory access"),
    guest("B03", "CR4 with what a guest may not have", models=BOTH),
    guest("B04", "the bits of CR0 and CR4 that VMX fixes", models=BOTH),
    guest("B05", "CR3 with reserved bits, outside RAM, at the APIC, at the top, at ROM", SURVIVES,
          *[EPT] * 4),
    guest("B06", "CR8 at 15 and a long computation"),
    guest("B07", "LMSW, SMSW, CLTS of all forms, MOV CR by all registers", models=BOTH),
    guest("B08", "breakpoints on addresses of the host"),
    guest("B09", "reserved bits of DR6 and DR7, DR7.GD"),
    guest("B10", "EFER: LMA, reserved bits, SVME, NXE off", models=BOTH),
    guest("B11", "PAE paging with reserved bits in PDPTEs, by CR0 and by CR3", models=BOTH),
    guest("B12", "through real, unreal, vm86, 16-bit, 32-bit, PAE, compatibility and long mode, "
          "1000 times"),
    guest("B13", "odd segments across exits"),
    guest("B14", "null and odd LDTR, TR and SS, TSSs of all types", models=BOTH),

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

    guest("E01", "read, write, execute at edges of RAM, holes, the top of physical memory",
          *[EPT] * 33),
    guest("E02", "a write across the end of RAM", EPT, EPT),
    guest("E03", "a write to what EPT has read-only", EPT, EPT),
    guest("E04", "execution of what EPT has as data", EPT, EPT),
    guest("E05", "page tables of each level outside RAM, at the APIC, at ROM", *[EPT] * 9),
    guest("E06", "reserved bits in page tables"),
    guest("E07", "recursive page tables and aliases"),
    guest("E08", "accesses across pages", mem="8M"),
    guest("E09", "what an earlier life left in memory",
          keys="control restart=always,limit=2,backoff=0"),
    skip("E10", "a page that is taken away while another vCPU uses it",
         "nothing is unmapped while a guest lives: no balloon, no revocable share"),
    elsewhere("E11", "a VPID used again, by the next life of its vCPU (no other one ever gets it)",
              "tests/hostile/e09.c::PATTERN", "tests/boot/test_lifecycle.py::test_restart_is_fresh",
              "tests/boot/test_lifecycle.py::test_thousand_restarts"),
    skip("E12", "balloon calls", "there is no balloon"),
    skip("E13", "page sizes changed under execution",
         "a leaf is never changed while a guest lives; the erratum is not in an emulator"),
    skip("E14", "L1TF", "an emulator does not speculate; no mitigation is built in"),
    guest("E15", "all memory that was asked for, and more", EPT, mem="6M"),
    elsewhere("E16", "cache types on shared pages: EPT's leaves decide, and ignore the guest's PAT",
              "tests/unit/test_ept.c::entries_are_those_of_the_sdm"),

    guest("F01", "triple faults in 64-bit, 32-bit and real mode", *["TRIPLE_FAULT"] * 5),
    guest("F02", "a #DB whose delivery causes the next one", "OPERATOR", boot="loops"),
    guest("F03", "a #AC at CPL 3 whose delivery causes the next one", "OPERATOR", boot="loops"),
    guest("F04", "all vectors by INT n, INT3, INT1, INTO"),
    elsewhere("F05", "the host's NMI while a guest runs, or is in its own NMI's handler",
              "tests/boot/test_guests.py::test_nmis_keep_coming",
              "tests/boot/test_interrupts.py::test_nmis_are_blocked_by_vcpu"),
    guest("F06", "exceptions, interrupts, NMIs with an untouched stack, TSS, IDT, GDT", mem="6M",
          options="apicv=off"),
    guest("F07", "INT n, INT3, INT1, INTO on untouched stacks", mem="4M"),
    guest("F08", "#PF, #GP, #UD whose delivery causes #NP, #GP, #PF; #DF's gate missing", SURVIVES,
          "TRIPLE_FAULT"),
    guest("F09", "interrupts behind STI, MOV SS, HLT", options="apicv=off"),
    guest("F10", "single steps over what exits"),
    guest("F11", "an exit at the edge of canonical addresses, of 4 GiB, of 64 KiB"),
    guest("F12", "IRET, far RET and JMP, SYSRET to what is not canonical", models=BOTH),
    guest("F13", "task switches by JMP, CALL, INT, IRET, NMI, NMI at CPL 3", *["TASK_SWITCH"] * 6,
          vcpus=2, models=BOTH),
    guest("F14", "a guest state that entries refuse, damaged on purpose",
          *["ENTRY_FAIL_STATE"] * 15, options=FAULTS, keys="cpus=0"),
    guest("F15", "the MSR-load list of entries, which Atoll has not: its count, damaged on purpose",
          "ENTRY_FAIL_MSR", options=FAULTS, keys="cpus=0"),
    skip("F16", "a machine check during an entry", "the emulators have none"),
    guest("F17", "control fields that entries refuse, damaged on purpose", *["VMFAIL"] * 13,
          options=FAULTS, keys="cpus=0"),
    skip("F18", "a bad VMCB", "there is no backend for SVM"),
    guest("F19", "a flood of exceptions"),
    guest("F20", "a breakpoint on MOV SS, put off behind a call"),
    guest("F21", "an NMI and two interrupts at once", options="apicv=off"),
    guest("F22", "INIT to itself; the host's INIT while a guest runs is held by the tour",
          *["GUEST_RESET"] * 3, elsewhere=("tests/boot/test_demos.py::test_tour",)),
    elsewhere("F23", "reserved vectors by INT n: with F04", "tests/hostile/f04.c::vector"),
    elsewhere("F24", "undefined bits of what an exit interrupted",
              "tests/unit/test_injection.c::main"),

    guest("G01", "the xAPIC page by all widths, in 8 lives each", *[EPT] * 9,
          keys="control restart=always,limit=7,backoff=0"),
    guest("G02", "the ICR with all modes, shorthands, destinations"),
    guest("G03", "vectors below 16"),
    guest("G04", "the APIC's timer with odd divisors and counts"),
    guest("G05", "TSC deadlines in the past, now and never"),
    guest("G06", "EOI with nothing in service, TPR storms"),
    skip("G07", "the I/O APIC", "there is none; its page is not mapped (E01)"),
    skip("G08", "HPET and PIT channels",
         "there are none; their page and ports are empty (E01, D06)"),
    guest("G09", "a storm of doorbells", SURVIVES, SURVIVES, keys="link=storm", links=2),
    guest("G10", "a storm of IPIs", vcpus=2),
    guest("G11", "all vectors pending at once", options="apicv=off"),

    guest("H01", "addresses and lengths at the edges", links=2,
          keys="link=edge block:disk=ram:64K net:eth=edge"),
    guest("H02", "replies across the end of RAM and into text"),
    guest("H03", "a frame that changes while it is sent: arguments are in registers", SURVIVES,
          SURVIVES, vcpus=2, keys="net:eth=flip"),
    guest("H04", "replies onto its own stack, IDT, page tables"),
    guest("H05", "numbers of links, devices, VMs that are not its own"),
    elsewhere("H06", "shares that are taken back: links stay, peers come and go",
              "tests/boot/test_links.py::test_death_and_return"),
    elsewhere("H07", "a read-only share that is written",
              "tests/boot/test_links.py::test_read_only_peer_that_writes"),
    guest("H08", "a guest that dies while others have its pages", SURVIVES, SURVIVES,
          keys="link=grave", links=2),
    guest("H09", "the largest requests in a loop", links=2, boot="large", # where no end is audited
          keys="control link=large block:disk=ram:64K net:eth=large,mtu=9000"),
    guest("H10", "replies into poisoned buffers", keys="control link=poison net:eth=poison",
          links=2),
    guest("H11", "a flood of calls", vcpus=2),
    elsewhere("H12", "Solo5: what is no call", "tests/boot/test_hvt.py::test_misuse"),
    elsewhere("H13", "Solo5: disks", "tests/boot/test_hvt.py::test_block",
              "tests/boot/test_hvt.py::test_pointers"),
    elsewhere("H14", "Solo5: networks and poll", "tests/boot/test_hvt.py::test_net",
              "tests/boot/test_hvt.py::test_poll"),
    elsewhere("H15", "Solo5: its own tests", "tests/boot/test_hvt.py::test_verdicts"),
    elsewhere("H16", "a message ring with a hostile end", "tests/unit/test_ring.c::main"),

    *(skip(f"I{number:02}", statement, "there is no virtio device") for number, statement in
      enumerate(("a sweep of the registers", "steps in the wrong order", "queues at bad addresses",
                 "loops of descriptors", "indirect descriptors", "lengths that overflow",
                 "an index that jumps", "descriptors that change meanwhile",
                 "a reset while a request is under way", "block requests", "network headers",
                 "random numbers and consoles", "interrupts never acknowledged"), 1)),

    guest("J01", "SIPIs and starts of vCPUs that run, stop or are not there", vcpus=3),
    guest("J02", "an end while other vCPUs compute, call, sleep, halt, touch",
          *[SURVIVES] * 6, vcpus=2, boot="ends"),
    guest("J03", "all vCPUs in a loop with interrupts off", "OPERATOR", vcpus=2, boot="loops"),
    guest("J04", "storms of exits of twelve kinds", *[SURVIVES] * 12, boot="storms"),
    skip("J05", "split locks and cache flushes", "the emulators have neither buses nor caches"),
    elsewhere("J06", "a thousand starts and ends",
              "tests/boot/test_lifecycle.py::test_thousand_starts_and_stops",
              "tests/boot/test_lifecycle.py::test_stop_at_any_moment"),
    guest("J07", "more memory than there is; more guests than it is enough for", SURVIVES, SURVIVES,
          REFUSED, REFUSED, mem="30M 30M 30M 2G", boot="memory",
          elsewhere=("tests/unit/test_boot_info.c::test_number_of_modules",)),
    skip("J08", "a crash during a clone or a snapshot", "there are none"),
    guest("J09", "FPU, SSE, AVX patterns of three guests in three lives", *[SURVIVES] * 3,
          keys="control restart=always,limit=2,backoff=0"),
    guest("J10", "debug registers, CR2, XCR0, bases of three guests in three lives",
          *[SURVIVES] * 3, keys="control restart=always,limit=2,backoff=0"),
    guest("J11", "the registers with which a vCPU starts, and around each call", vcpus=2),
    guest("J12", "time across moves of two vCPUs", vcpus=2, options="shuffle",
          toll=0.8),
    skip("J13", "what siblings of a clone share", "there are no clones"),
    elsewhere("J14", "hostile images", "tests/boot/test_modules.py::test_bad_image",
              "tests/unit/test_elf_image.c::main", "tests/boot/test_hvt.py::test_refused_images"),
    elsewhere("J15", "hostile command lines", "tests/unit/test_module_line.c::main",
              "tests/boot/test_config.py::test_bad_lines"),
    skip("J16", "two guests on siblings of a core",
         "Atoll does not tell siblings apart: run it with SMT off; no emulator shows what leaks"),

    guest("K01", "an exception in the handler of an exit, while others run", PANIC,
          options=FAULTS, boot="panic"),
    elsewhere("K02", "an overflow of the host's stack", "tests/boot/test_log.py::test_panic"),
    elsewhere("K03", "NMIs at any moment of an exit",
              "tests/boot/test_guests.py::test_nmis_keep_coming",
              "tests/boot/test_interrupts.py::test_nmis_are_blocked_by_vcpu"),
    skip("K04", "a timer interrupt that is lost",
         "no watchdog is built: the preemption timer and each exit end a stay, but a core that is "
         "idle sleeps until somebody wakes it"),
    elsewhere("K05", "no memory at any place of an allocation",
              "tests/unit/test_frame_pool.c::main",
              "tests/unit/test_guest_memory.c::main", "tests/unit/test_sched.c::main"),
    guest("K06", "damaged host state in the VMCS", *["VMFAIL"] * 24, options=FAULTS,
          keys="cpus=0"),
    guest("K07", "bits that flip in EPT and in records, frames mapped twice, freed, lost",
          options=FAULTS,
          says=(FOUND + r"{name}: 0x1000 maps frame 0x\w+: it is RAM of witness$",
                FOUND + r"{name}: 0x1000 maps frame 0x\w+: it is free$",
                FOUND + r"{name}: 0x1000 maps frame 0x\w+: it is no memory for guests$",
                FOUND + r"{name}: 0x1000 maps frame 0x\w+: it is held for {name}$",
                FOUND + r"{name}: the entry of 0x1000 is 0x\w+, beside the address it should be",
                FOUND + r"{name}: 0x0 has its table in frame 0x\w+: ",
                FOUND + r"{name}: the entry of 0x8000000000 is 0x4, ",
                FOUND + r"the allocator: ",
                FOUND + r"{name}: \d+ frames in use are there, its books say \d+$",
                FOUND + r"{name}: \d+ frames of RAM are there, its books say \d+$",
                FOUND + r"{name}: \d+ tables are there, its books say \d+$",
                FOUND + r"all pools may take \d+ frames, the allocator says \d+$",
                FOUND + r"frame 0x\w+ is handed out, and nobody has it$")),
    skip("K08", "a power cut", "nothing is kept between boots"),

    guest("M01", "random instructions, a seed each", *[ANY] * SEEDS, boot="random"),
]


def with_seeds(count):
    """The table with `count` random guests."""
    return [dataclasses.replace(case, ends=(ANY,) * count) if ANY in case.ends else case
            for case in CASES]
