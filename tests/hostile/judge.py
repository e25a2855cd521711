# SPDX-License-Identifier: MIT
"""What the serial console of a boot must say: of the machine as a whole, and of each guest."""

import re
import subprocess

from table import ANY, PANIC, REFUSED, RESTRICTED, SURVIVES

KEPT = 0.9          # of the witness' due
FRAMES_HELD = 1     # taken once, with the first vCPU: the MSR bitmap
FRAMES_HELD_RESTRICTED = 1  # and where guests need it: the identity map
FRAMES_FREED = 2    # given back at the end: the VMXON region of each core
PLANTED_MIN = 10000  # frames
AUDITS_MIN = 3      # of frames: before the first guest runs, at the first end, behind the last one
BUGS = r"EPT_MISCONFIG|UNHANDLED_EXIT|VMFAIL|ENTRY_FAIL_\w+"
GPR = "rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
AUDITED = ("VMFAIL", "ENTRY_FAIL_STATE")  # the auditor names the field
STAMP = r"^\[ *(\d+\.\d+)\]"
TALLY = re.compile(r"(\w+): (\d+) of (\d+) expectations met$")


class Guest:
    """One way of a case: a guest of a boot."""

    def __init__(self, case, way):
        self.case = case
        self.end = case.ends[way]
        self.way = way
        self.name = case.number.lower() + (f"-{way}" if len(case.ends) > 1 else "")

    def line(self, folder):
        """Its module line."""
        case = self.case
        arguments = f"case={case.number.lower()} n={self.way} {case.arguments}".strip()
        vcpus = f"vcpus={case.vcpus} " if case.vcpus > 1 else ""
        mems = case.mem.split()
        mem = mems[self.way % len(mems)]
        return f'{folder}/hostile.elf {self.name} mem={mem} {vcpus}{case.keys} ' \
               f'cmdline="{arguments}"'


def said(lines, name):
    """What the guest `name` wrote on its console."""
    prefix = re.compile(STAMP + rf" {re.escape(name)}\| (.*)$")
    return [match[2] for line in lines if (match := prefix.match(line))]


def stops(lines, name):
    """(time, reason, rest) for each end of the guest `name`."""
    pattern = re.compile(STAMP + rf" cpu\d+ {re.escape(name)}(?:\.\d+)?: stopped: (\w+)(.*)$")
    return [(float(match[1]), match[2], match[3]) for line in lines
            if (match := pattern.match(line))]


def witness_rate(lines):
    """Rounds of the witness in a second; 0 if it did not end well."""
    for text in said(lines, "witness"):
        if match := re.match(r"witness: (\d+) rounds, memory intact, (\d+) us$", text):
            return int(match[1]) * 1e6 / int(match[2])
    return 0


def first(lines, pattern):
    """The first match with a line that the hypervisor wrote of itself."""
    for line in lines:
        if match := re.match(STAMP + r" cpu\d+ " + pattern, line):
            return match
    return None


def frames_problem(lines, links, model):
    match = first(lines, r"atoll: frames: (\d+) free before the first start, (\d+) behind the last "
                         r"end, (\d+) reserved$")
    if not match:
        return "no line with the recount of frames"
    before, after, reserved = (int(number) for number in match.groups()[1:])
    held = FRAMES_HELD + (FRAMES_HELD_RESTRICTED if model == RESTRICTED else 0)
    lost = before - after - held + FRAMES_FREED - links
    if lost != 0 or reserved != 0:
        return f"{lost} frames did not come back, {reserved} are reserved"
    return None


def audit_problem(lines):
    match = first(lines, r"atoll: frames: (\d+) audits, (\d+) violations; ")
    if not match:
        return "no line about the audits of frames"
    if match[3] != "0":
        violation = first(lines, r"atoll: frames: VIOLATION: (.*)$")
        return f"{match[3]} violations of who owns frames: {violation and violation[2]}"
    return None if int(match[2]) >= AUDITS_MIN else f"only {match[2]} audits of frames"


def bugs(lines, boot):
    """Ends that only a bug of the hypervisor can have, or a fault on purpose."""
    wanted = {guest.name: guest.end for guest in boot.guests}
    pattern = re.compile(STAMP + rf" cpu\d+ ([^ ]+?)(?:\.\d+)?: stopped: ({BUGS})")
    found = [(match[2], match[3]) for line in lines if (match := pattern.match(line))]
    return [f"a bug of the hypervisor: {name} ended by {reason}" for name, reason in found
            if wanted.get(name) != reason]


def boot_problems(result, boot, solo_rate):
    """What is wrong with a boot as a whole."""
    lines = result.lines
    wrong = []
    if result.complaint:
        wrong.append(result.complaint)
    starts = sum(re.match(STAMP + r" cpu0 atoll: Atoll \d", line) is not None for line in lines)
    if starts != 1:
        wrong.append(f"the machine started {starts} times")
    total = len(boot.guests) + 2
    if not result.ended or result.ended[1] != total:
        wrong.append(f"{result.ended} guests ended, not all of {total}")
    planted = first(lines, r"atoll: selftest=hostile: a secret lies in (\d+) free frames$")
    if not planted or int(planted[2]) < PLANTED_MIN:
        wrong.append("no secret was planted")
    if problem := frames_problem(lines, boot.links, boot.model):
        wrong.append(problem)
    if problem := audit_problem(lines):
        wrong.append(problem)
    wrong += bugs(lines, boot)
    rate = witness_rate(lines)
    if rate < KEPT * boot.due() * solo_rate:
        wrong.append(f"the witness had {rate:.0f} rounds a second, its due are "
                     f"{boot.due() * solo_rate:.0f}")
    wrong += witness_problems(lines, boot)
    if "peer: all have ended" not in said(lines, "peer"):
        wrong.append("the peer did not see the end of all")
    return wrong


def function_at(address, elf):
    """The name of the function that `address` is in."""
    said = subprocess.run(["addr2line", "-fe", elf, address], capture_output=True, text=True,
                          check=True)
    return said.stdout.split("\n")[0]


def panic_problems(result, elf):
    """What is wrong with a boot whose guest makes an exit handler write to the hypervisor's text:
    others ran, the panic says all, and nobody says anything behind it."""
    at = next((i for i, line in enumerate(result.lines) if "atoll: panic: " in line), None)
    if at is None or not result.complaint.startswith("the hypervisor panicked"):
        return [f"no panic of the hypervisor, {result.complaint or 'nothing to complain of'}"]
    before, lines = result.lines[:at], result.lines[at:]
    text = "\n".join(re.sub(STAMP + r" cpu\d+ atoll: panic: ", "", line) for line in lines)
    wrong = [] if any("round" in line for line in said(before, "witness")) else \
        ["the witness did not run before"]
    if others := [line for line in lines if "atoll: panic: " not in line]:
        wrong.append(f"somebody went on: {others[0]}")
    word = r"=(0x[0-9a-f]+)"
    expected = (r"#PF page fault in the hypervisor, error code 0x3\n"
                rf"rip{word} rsp{word} rbp{word} rflags{word}\n"
                + "".join(rf"{a}{word} {b}{word}\n" for a, b in zip(GPR[::2], GPR[1::2])) +
                rf"cr0{word} cr2{word} cr3{word} cr4{word}\n"
                r"backtrace .*\n +(0x[0-9a-f]+)\n +(0x[0-9a-f]+)")
    match = re.match(expected, text)
    if not match:
        return wrong + [f"the panic says: {text}"]
    rip, cr2, caller = match[1], match[4 + len(GPR) + 2], match[match.lastindex]
    names = [function_at(address, elf) for address in (rip, cr2, caller)]
    if names != ["write_to_text", "write_to_text", "hypercall_handle"]:
        wrong.append(f"RIP, CR2 and the caller are in {names}")
    return wrong


def witness_problems(lines, boot):
    ended = stops(lines, "witness")
    if [stop[1:] for stop in ended] != [("GUEST_EXIT", ": status 0")]:
        return [f"the witness ended by {ended}"]
    late = [guest.name for guest in boot.guests
            if any(stop[0] > ended[0][0] for stop in stops(lines, guest.name))]
    return [f"the witness ended before {', '.join(late)}"] if late else []


def guest_problems(lines, guest):
    """What is wrong with one guest."""
    if guest.end == REFUSED:
        refused = first(lines, rf"{guest.name}: refused: ")
        return [] if refused else [f"{guest.name}: it was not refused"]
    wrong = [f"{guest.name}: {text}" for text in said(lines, guest.name) if "FAILURE" in text]
    wrong += [f"{guest.name}: nobody says {pattern}" for pattern in guest.case.says
              if not first(lines, pattern.replace("{name}", re.escape(guest.name)))]
    fault = first(lines, rf"{guest.name}\.0: fault: bit \d+ flips in (.*)$")
    if fault and guest.end in AUDITED:
        audit = rf"{guest.name}\.0:   audit: SDM 26\.\d[0-9.]*: {re.escape(fault[2])} = "
        if not first(lines, audit):
            wrong.append(f"{guest.name}: the auditor does not name the {fault[2]}")
    ended = stops(lines, guest.name)
    if guest.end == PANIC:  # panic_problems looks
        return wrong
    if not ended:
        return wrong + [f"{guest.name}: no line says how it ended"]
    _, reason, rest = ended[-1]
    if guest.end == ANY:  # boot_problems looks for what no guest may end by
        return wrong
    wanted = "GUEST_EXIT" if guest.end == SURVIVES else guest.end
    if reason != wanted or (guest.end == SURVIVES and rest != ": status 0"):
        wrong.append(f"{guest.name}: ended by {reason}{rest}, expected {guest.end}")
    tallies = [match for text in said(lines, guest.name) if (match := TALLY.match(text))]
    if not tallies or tallies[-1][2] != tallies[-1][3]:
        wrong.append(f"{guest.name}: not all that it expected was so")
    elif guest.end == SURVIVES and tallies[-1][3] == "0":
        wrong.append(f"{guest.name}: it expected nothing")
    return wrong + lives_problems(guest, ended, said(lines, guest.name))


def lives_problems(guest, ended, texts):
    """Of a guest that starts again when it has ended, each life counts."""
    wrong = []
    limit = re.search(r"limit=(\d+)", guest.case.keys)
    if limit and len(ended) != int(limit[1]) + 1:
        wrong.append(f"{guest.name}: {len(ended)} lives, not {int(limit[1]) + 1}")
    if guest.end != SURVIVES and (others := {stop[1] for stop in ended} - {guest.end}):
        wrong.append(f"{guest.name}: earlier lives ended by {', '.join(others)}")
    aims = [aim[1] for text in texts if (aim := re.search(r"aims at (0x[0-9a-f]+)$", text))]
    wrong += [f"{guest.name}: stopped at another address than {aim}:{stop[2]}"
              for aim, stop in zip(aims, ended) if f"gpa={aim} " not in stop[2]]
    return wrong
