# SPDX-License-Identifier: MIT
"""The figures that Atoll promises: each is measured by booting guests in Bochs, and has a budget.

Time is simulated there: a TSC tick is an instruction of a core. A figure is a list of rows.
"""

import bisect
import dataclasses
import pathlib
import re
import statistics
import struct
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "iso"), str(ROOT / "tools")]

import dump
import machine
import make_iso

TICKS_PER_MS = 50_000  # iso/bochs.py: ips
SLICE = TICKS_PER_MS   # the longest slice, if slice= does not change it
WEIGHTS = (100, 200, 400)
EXIT_BUDGETS = {"hypercall_null": 330, "cpuid": 330, "rdmsr": 300, "out_device": 350}
STORMS = ("loop", "exits", "ipi", "doorbell", "sleep", "yield", "timer")


@dataclasses.dataclass
class Row:
    """One measured value; `at_most` says on which side of the budget it must be."""
    name: str
    value: float
    unit: str
    budget: float
    at_most: bool = True

    @property
    def good(self):
        return self.value <= self.budget if self.at_most else self.value >= self.budget


class Failed(Exception):
    """The guests did not end as they should."""


def boot(build, guests, cpus, mem=512, options="", timeout=300, trace=None):
    """Boots guests, all of which must end with status 0, and returns the serial console's lines."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as directory:
        iso = pathlib.Path(directory) / "bench.iso"
        entry = make_iso.Entry("bench", make_iso.ends_by_itself(options), guests)
        make_iso.make_iso(iso, build / "atoll.elf", [entry])
        spec = machine.Spec(iso=iso, cpus=cpus, mem=mem, timeout=timeout, trace=trace)
        result = machine.boot(spec, scratch=directory)
    if result.complaint or result.ended != (len(guests), len(guests)):
        raise Failed(f"{result.ended} guests of {len(guests)} ended well: {result.complaint}\n"
                     f"{result.text[-4000:]}")
    return result.lines


def found(lines, pattern):
    """All matches of `pattern` with a line."""
    return [match for line in lines if (match := re.search(pattern, line))]


def fair_shares(weights, cpus):
    """What each is due of `cpus` cores: by weight, and none more than one core."""
    due, left, cores = {}, dict(enumerate(weights)), cpus
    while left:
        total = sum(left.values())
        full = [i for i, weight in left.items() if cores * weight > total]
        if not full:
            due.update({i: cores * weight / total for i, weight in left.items()})
            break
        for i in full:
            due[i] = 1.0
            del left[i]
        cores -= len(full)
    return due


def shares(build, count, cpus, ms=1000):
    """Hogs with weights 1:2:4 over the same second: how far the worst is from its due."""
    weights = [WEIGHTS[i % len(WEIGHTS)] for i in range(count)]
    lines = boot(build, [f'{build}/guests/hog.elf h{i} mem=1M weight={weight} '
                         f'cmdline="ms={ms} align=2000"' for i, weight in enumerate(weights)], cpus)
    ticks = {int(match[1]): int(match[2])
             for match in found(lines, r"h(\d+)\| hog: .* core, (\d+) ticks")}
    due = fair_shares(weights, cpus)
    total, due_total = sum(ticks.values()), sum(due.values())
    worst = max(abs(ticks[i] / total * due_total / due[i] - 1) for i in range(count))
    return [Row(f"shares_{count}_on_{cpus}", round(100 * worst, 2), "% off, worst", 3)]


def witness(build, how):
    """What a hog keeps of its fair share, in work done, beside a neighbour that storms."""
    def turns(guests):
        lines = boot(build, guests, 1)
        return int(found(lines, r"w\| hog: (\d+) thousand turns")[0][1])

    hog = f'{build}/guests/hog.elf w mem=1M link=l cmdline="ms=200"'
    bad = (f'{build}/tests/guests/bad_neighbour.elf bad mem=2M link=l '
           f'cmdline="how={how} ms=300"')
    kept = turns([hog, bad]) / (turns([hog]) / 2)
    return [Row(f"witness_beside_{how}", round(100 * kept, 1), "% of its fair share", 90,
                at_most=False)]


def many(build, count=500):
    """Guests of 1 MiB in a machine of 1 GiB with 4 cores: so many at once did their work."""
    lines = boot(build, [f'{build}/guests/hog.elf h{i} mem=1M cmdline="ms=200 align=4000"'
                         for i in range(count)], 4, mem=1024)
    alive = sum(int(match[1]) > 1000 for match in
                found(lines, r" h\d+ +status 0 +(\d+) us"))  # no line of the summary is lost
    return [Row("guests_alive", alive, "guests", count, at_most=False)]


def timer_wake(build):
    """From the deadline of a vCPU asleep in HLT to its handler, while a core is free."""
    lines = boot(build, [f'{build}/guests/sleeper.elf s mem=1M cmdline="n=50"',
                         f'{build}/guests/hog.elf h mem=1M cmdline="ms=80"'], 2)
    late = int(found(lines, r"sleeper: .* at most (\d+) ticks")[0][1])
    return [Row("timer_wake", late, "ticks at most", SLICE + 2000)]


def doorbell(build, wait):
    """From a ring to the handler on another core: half of a round trip, guests' code included."""
    lines = boot(build, [f'{build}/tests/bench/bell.elf a mem=1M link=l cpus=0',
                         f'{build}/tests/bench/bell.elf b mem=1M link=l cpus=1 '
                         f'cmdline="wait={wait}"'], 2)
    ticks = int(found(lines, r"bell: round trip (\d+) ticks")[0][1])
    return [Row(f"doorbell_{wait}", ticks // 2, "ticks one way", 1500)]


def exit_costs(build):
    """An instruction that exits, as its guest sees it: ticks, the empty loop taken off."""
    lines = boot(build, [f"{build}/tests/bench/exit_costs.elf e mem=1M"], 1)
    costs = {match[1]: int(match[2]) for match in found(lines, r"cost: (\w+) (\d+) ticks")}
    return [Row(name, costs[name], "ticks", budget) for name, budget in EXIT_BUDGETS.items()]


def vm_memory(build):
    """What the hypervisor takes for a guest with one vCPU beyond its RAM."""
    lines = boot(build, [f"{build}/guests/hello.elf h mem=1M"], 1)
    kib = int(found(lines, r" h +status 0 .* (\d+) KiB$")[0][1])
    return [Row("vm_memory", kib, "KiB", 64)]


HVT_BUDGETS = {"hvt_puts_64": 400, "hvt_puts_line_64": 1000, "hvt_block_read_512": 400,
               "hvt_block_write_512": 400, "hvt_walltime": 400, "hvt_poll_0": 400}
BLOCK_WORDS = 512 // 8  # what copying a block takes in one piece


def hvt_costs(build):
    """Calls of a Solo5 guest, as it sees them; of a block, besides the copy."""
    lines = boot(build, [f"{build}/tests/bench/hvt_costs.elf h block:storage=ram:64K"], 1,
                 options="conrate=0")
    costs = {match[1]: int(match[2]) for match in found(lines, r"cost: (\w+) (\d+) ticks")}
    return [Row(name, costs[name] - (BLOCK_WORDS if "block" in name else 0), "ticks", budget)
            for name, budget in HVT_BUDGETS.items()]


def loaded(path):
    """The bytes of an image's segments that its file has, and the pages that they touch."""
    image = pathlib.Path(path).read_bytes()
    start, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    pages, copied = set(), 0
    for at in range(start, start + size * count, size):
        kind, _, _, address, _, filed = struct.unpack_from("<IIQQQQ", image, at)
        if kind == 1 and filed:  # PT_LOAD
            copied += filed
            pages |= set(range(address >> 12, (address + filed - 1 >> 12) + 1))
    return copied, len(pages)


def hvt_start(build, count=3):
    """From the start of a Solo5 guest to its first instruction, besides clearing pages and copying
    the image: guests are made one after the other at boot, and the first one runs at once then."""
    image = f"{build}/tests/bench/hvt_costs.elf"
    with tempfile.NamedTemporaryFile(prefix="atoll-bench-") as trace:
        lines = boot(build, [f"{image} h{i} mem=2M block:storage=ram:64K" for i in range(count)], 1,
                     options="trace=com2", trace=trace.name)
        read = dump.read(trace.name)
    made = found(lines, r"^\[ *([\d.]+)\] cpu0 h\d+: created: .*; (\d+) KiB of the hypervisor's")
    stamps = [round(float(match[1]) * 1000 * TICKS_PER_MS) for match in made]
    first = [min(event.time for event in read.events()
                 if event.kind == kind and event.fields.vm == 0) for kind in ("run", "entry")]
    copied, pages = loaded(image)
    # 6: tables, GDT and boot information; 2: the record and the console are older
    frames = pages + 6 + int(made[0][2]) // 4 - 2
    cleared = frames * 4096 // 8
    built = min(b - a for a, b in zip(stamps, stamps[1:])) - cleared - copied // 8
    return [Row("hvt_start", built + first[1] - first[0], "ticks", 30_000)]


def frame_wake(build, frames=50):
    """From the exit of an hvt guest's NET_WRITE, of 64 bytes, until one that waits in POLL on
    another core is runnable, by the trace: the median."""
    guest = f"{build}/tests/bench/frame_wake.elf"
    with tempfile.NamedTemporaryFile(prefix="atoll-bench-") as trace:
        boot(build, [f'{guest} waits mem=2M net:net=lan cpus=1 cmdline="n={frames}"',
                     f'{guest} sends mem=2M net:net=lan cpus=0 cmdline="do=send n={frames}"'], 2,
             options="trace=com2", trace=trace.name)
        read = dump.read(trace.name)
    sent = [event.time - event.fields.cost for event in read.events() if event.kind == "exit" and
            event.fields.vm == 1 and read.exit_name(event.fields.reason) == "I/O instruction"]
    woken = [event.time for event in read.events()
             if event.kind == "wake" and event.fields.vm == 0]
    if len(woken) != frames:
        raise Failed(f"woken {len(woken)} times by {frames} frames")
    ticks = [time - sent[bisect.bisect(sent, time) - 1] for time in woken]
    return [Row("frame_wake", statistics.median_low(ticks), "ticks, median", 1500)]


FIGURES = {
    **{f"shares_{count}_on_{cpus}": lambda build, count=count, cpus=cpus: shares(build, count, cpus)
       for count in (3, 30, 200) for cpus in (1, 2, 4)},
    **{f"witness_beside_{how}": lambda build, how=how: witness(build, how) for how in STORMS},
    "guests_alive": many,
    "timer_wake": timer_wake,
    "doorbell_sleep": lambda build: doorbell(build, "sleep"),
    "doorbell_spin": lambda build: doorbell(build, "spin"),
    "exit_costs": exit_costs,
    "vm_memory": vm_memory,
    "hvt_costs": hvt_costs,
    "hvt_start": hvt_start,
    "frame_wake": frame_wake,
}
