# SPDX-License-Identifier: MIT
"""The monitor never delays a guest by more than a slice: on one core, a guest measures for how long
it does not run, while the monitor does all that it can and looks at a hundred other guests."""

import re

from harness import own_image
from test_monitor import PROMPT, command, open_monitor

GAP = own_image("gap")
SLEEPERS = 100
SLICE = 1000  # us: the option slice=
BUILDS = ["start vm7", "restart vm8"]  # in one piece, which for so small a VM is short
BUILD = 2000
LINE = re.compile(rb"\[ *([\d.]+)\] gap\| gap (\d+) us")
COMMANDS = ["help", "help log", "list", "list -j", "info vm7", "info gap", "links", "cpus",
            "memory", "memory -j", "exits", "exits -j", "exits gap", "log all", "log 10000",
            "log show", "regs gap", "vmcs gap", "vmcs gap -j", "vmcs vm7", "vmcs gap audit",
            "ept gap 0x100000", "peek gap 0x100000 4096", "trace on", "trace", "trace off",
            "pause vm7", "resume vm7", "stop vm7", "start vm7", "restart vm8", "version", "nothing",
            "x" * 150]
KEYS = {"completion": b"\t\t\x15v\t\t\x15", "editing": b"list\x1b[D\x1b[D\x01\x05\x17",
        "redrawing": b"\x0c" * 50, "garbage": b"\xff\x80\x1b]0;" + b"a\x01\x02" * 200,
        "a long line": b"y" * 10000 + b"\x03"}


def gaps(machine, count):
    """The next figures of the guest."""
    found = []
    for _ in range(count):
        machine.expect(rb"gap\| gap (\d+) us")
        found.append(int(machine.match[1]))
    return found


class Gaps:
    """What the guest measured while something was done."""

    def __init__(self, machine):
        self.machine = machine
        self.found = {}
        self.last = 0  # the time of the last one that counted: commands show older ones again

    def wait(self, count):
        for _ in range(count):
            self.machine.expect(rb"gap\| gap \d+ us")

    def of(self, what, action):
        start, found = len(self.machine.raw), []
        action()
        while len(found) < 2:
            self.wait(1)  # it may be an earlier one, which was there and not yet looked at
            lines = LINE.findall(self.machine.raw[start:])
            found = [(float(time), int(us)) for time, us in lines if float(time) > self.last]
        self.last = max(time for time, _ in found)
        self.found[what] = max(us for _, us in found)


def use_top(machine):
    machine.sendline("top")
    machine.expect_exact("\x1b[?1049h")
    machine.expect_exact("Load:")
    for key in "nmecr  jk\x0c":
        machine.send(key)
    machine.expect_exact("Load:")
    machine.send("q")
    machine.expect_exact("\x1b[?1049l")
    machine.expect_exact(PROMPT)
    machine.sendline("log 30")  # what the guest said meanwhile
    machine.expect_exact("log 30")


def test_longest_gap(console):
    guests = [f"{GAP} gap mem=4M"] + [f"{GAP} vm{i} mem=1M" for i in range(SLEEPERS)]
    machine = open_monitor(console, guests, cpus=1, mem=512, timeout=300)
    gaps = Gaps(machine)
    gaps.wait(2)  # all others sleep by now
    gaps.of("nothing is done", lambda: gaps.wait(2))
    for line in COMMANDS:
        gaps.of(line, lambda line=line: command(machine, line))
    for what, keys in KEYS.items():
        gaps.of(what, lambda keys=keys: machine.send(keys))
    machine.send(b"\x03")
    gaps.of("top", lambda: use_top(machine))

    most = SLICE + gaps.found["nothing is done"]
    late = {what: us for what, us in gaps.found.items()
            if us > most + (BUILD if what in BUILDS else 0)}
    if late:
        machine.fail(f"gaps of more than {most} us: {late}; all: {gaps.found}")
