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
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "iso"), str(ROOT / "tools")]

import dump
import machine
import make_iso
import sizes
import vmcs_counts

TICKS_PER_MS = 50_000  # iso/bochs.py: ips
SLICE = TICKS_PER_MS   # the longest slice, if slice= does not change it
WEIGHTS = (100, 200, 400)
CLEARING = 4096 // 8  # of a page
RECORD_FRAMES = 1     # the record of a VM: made before its start
START_INFO_PAGES = 1
STORMS = ("loop", "exits", "ipi", "doorbell", "sleep", "yield", "timer")


@dataclasses.dataclass
class Row:
    """One measured value; `at_most` says on which side of the budget it must be."""
    name: str
    value: float
    unit: str
    budget: float = None  # what is promised; None: nothing
    at_most: bool = True
    recorded: float = None  # what it must not exceed meanwhile, where the promise is not kept yet
    vmreads: int = None  # where they are counted
    vmwrites: int = None
    parts: tuple = ()    # rows that this one sums up

    @property
    def good(self):
        if self.budget is None:
            return True
        return self.value <= self.budget if self.at_most else self.value >= self.budget

    @property
    def as_recorded(self):
        """No worse than it was, though perhaps not what is promised."""
        return self.good or (self.recorded is not None and self.value <= self.recorded)


BUDGETS = pathlib.Path(__file__).with_name("budgets")


def budgets():
    """The words of each row's line behind its name: side, number, perhaps `promised` and one more.
    """
    lines = [line.split("#")[0].split() for line in BUDGETS.read_text().splitlines()]
    return {words[0]: words[1:] for words in filter(None, lines)}


def row(name, value, unit):
    """A measured value beside its budget."""
    side, number, *promised = budgets()[name]
    if promised:
        return Row(name, value, unit, int(promised[1]), side == "<=", int(number))
    return Row(name, value, unit, int(number), side == "<=")


class Failed(Exception):
    """The guests did not end as they should."""


def boot(build, guests, cpus, mem=512, options="", timeout=300, trace=None, good=None,
         count=None, until=None):
    """Boots guests, `count` of them if a line makes several, and returns the serial console's
    lines. `good` of them (all) must end with status 0; or the machine is stopped behind a line that
    matches `until`, which must come."""
    last = threading.Event()

    def look(line):
        if until and re.search(until, line):
            last.set()

    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as directory:
        iso = pathlib.Path(directory) / "bench.iso"
        entry = make_iso.Entry("bench", make_iso.ends_by_itself(options), guests)
        make_iso.make_iso(iso, build / "atoll.elf", [entry])
        spec = machine.Spec(iso=iso, cpus=cpus, mem=mem, timeout=timeout, trace=trace)
        result = machine.boot(spec, look, directory, stop=last if until else None)
    if last.is_set():
        return result.lines
    count = count or len(guests)
    good = count if good is None else good
    if until or result.complaint and good == count or result.ended != (good, count):
        raise Failed(f"{result.ended} guests of {count} ended well: {result.complaint}\n"
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
    return [row(f"shares_{count}_on_{cpus}", round(100 * worst, 2), "% off, worst")]


def witness(build, how):
    """What a hog keeps of its fair share, in work done, beside a neighbour that storms."""
    def turns(guests):
        lines = boot(build, guests, 1)
        return int(found(lines, r"w\| hog: (\d+) thousand turns")[0][1])

    hog = f'{build}/guests/hog.elf w mem=1M link=l cmdline="ms=200"'
    bad = (f'{build}/tests/guests/bad_neighbour.elf bad mem=2M link=l '
           f'cmdline="how={how} ms=300"')
    kept = turns([hog, bad]) / (turns([hog]) / 2)
    return [row(f"witness_beside_{how}", round(100 * kept, 1), "% of its fair share")]


def many(build, count=500):
    """Guests of 1 MiB in a machine of 1 GiB with 4 cores: so many at once did their work."""
    lines = boot(build, [f'{build}/guests/hog.elf h{i} mem=1M cmdline="ms=200 align=4000"'
                         for i in range(count)], 4, mem=1024)
    alive = sum(int(match[1]) > 1000 for match in
                found(lines, r" h\d+ +status 0 +(\d+) us"))  # no line of the summary is lost
    return [row("guests_alive", alive, "guests")]


def timer_wake(build):
    """From the deadline of a vCPU asleep in HLT to its handler, while a core is free."""
    lines = boot(build, [f'{build}/guests/sleeper.elf s mem=1M cmdline="n=50"',
                         f'{build}/guests/hog.elf h mem=1M cmdline="ms=80"'], 2)
    late = int(found(lines, r"sleeper: .* at most (\d+) ticks")[0][1])
    return [row("timer_wake", late, "ticks at most")]


def doorbell(build, name, wait, ringer="spin", cpus=2):
    """From a ring to the handler, on another core if there is one: half of a round trip, guests'
    code included."""
    bell = f"{build}/tests/bench/bell.elf"
    lines = boot(build, [f'{bell} a mem=1M link=l cpus=0 cmdline="wait={ringer}"',
                         f'{bell} b mem=1M link=l cpus={cpus - 1} cmdline="wait={wait}"'], cpus)
    ticks = int(found(lines, r"bell: round trip (\d+) ticks")[0][1])
    return [row(name, ticks // 2, "ticks one way")]


def link_round_trip(build):
    """A message through a ring of a link and back through another, both ends asleep before."""
    def ticks(cpus):
        ping = f"{build}/tests/bench/ping.elf"
        lines = boot(build, [f"{ping} a mem=1M link=l cpus=0",
                             f"{ping} b mem=1M link=l cpus={cpus - 1}"], cpus)
        return int(found(lines, r"ping: round trip (\d+) ticks")[0][1])

    return [row("link_round_trip", ticks(1), "ticks, median"),
            row("link_round_trip_2_cores", ticks(2), "ticks, median")]


def sched_switch(build):
    """From the last instruction of a guest that yields to the first one of another."""
    yields = f"{build}/tests/bench/yields.elf"
    lines = boot(build, [f"{yields} a mem=1M", f"{yields} b mem=1M cmdline=do=answer"], 1)
    ticks = int(found(lines, r"yields: a switch takes (\d+) ticks")[0][1])
    return [row("sched_switch", ticks, "ticks, median")]


def costs_in(lines):
    """By name, what a guest said."""
    return {match[1]: int(match[2]) for match in found(lines, r"cost: (\w+) (\d+) ticks")}


def exit_costs(build):
    """What exits, as its guest sees it: ticks, the empty loop taken off."""
    def costs(options):
        return costs_in(boot(build, [f"{build}/tests/bench/exit_costs.elf e mem=2M"], 1,
                             options=options))

    software = costs("apicv=off")
    rows = [row(name, value, "ticks") for name, value in software.items()]
    counts = vmcs_counts.counts(build, list(software))
    for one in rows:
        one.vmreads, one.vmwrites = counts[one.name]
    return [*rows, row("self_ipi_apicv", costs("apicv=on")["self_ipi"], "ticks")]


def vm_memory(build):
    """What the hypervisor takes for a guest with one vCPU beyond its RAM."""
    lines = boot(build, [f"{build}/guests/hello.elf h mem=1M"], 1)
    kib = int(found(lines, r" h +status 0 .* (\d+) KiB$")[0][1])
    return [row("vm_memory", kib, "KiB")]


HVT_CALLS = ["hvt_puts_64", "hvt_puts_line_64", "hvt_block_read_512", "hvt_block_write_512",
             "hvt_walltime", "hvt_poll_0"]
BLOCK_WORDS = 512 // 8  # what copying a block takes in one piece


def hvt_costs(build):
    """Calls of a Solo5 guest, as it sees them; of a block, besides the copy."""
    lines = boot(build, [f"{build}/tests/bench/hvt_costs.elf h block:storage=ram:64K"], 1,
                 options="conrate=0")
    costs = costs_in(lines)
    return [row(name, costs[name] - (BLOCK_WORDS if "block" in name else 0), "ticks")
            for name in HVT_CALLS]


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


CREATED = r"^\[ *([\d.]+)\] cpu0 {}: created: .*; (\d+) KiB of the hypervisor's"


def ticks_at(match):
    """What the stamp in front of a line says."""
    return round(float(match[1]) * 1000 * TICKS_PER_MS)


def filling(image, loaded_pages, kib):
    """Ticks that it takes to clear what the start of a guest takes, `kib` of the hypervisor's and
    the pages that are loaded, and to copy its image."""
    copied, pages = loaded(image)
    frames = pages + loaded_pages + kib // 4 - RECORD_FRAMES
    return frames * CLEARING + copied // 8


def started(build, image, rest, loaded_pages, last_event, count=3):
    """Ticks from the start of a guest to an event of it, besides clearing pages and copying its
    image: guests are made one after the other at boot, and the first one runs at once then."""
    with tempfile.NamedTemporaryFile(prefix="atoll-bench-") as trace:
        lines = boot(build, [f"{image} h{i} mem=2M {rest}" for i in range(count)], 1,
                     options="trace=com2", trace=trace.name)
        read = dump.read(trace.name)
    made = found(lines, CREATED.format(r"h\d+"))
    stamps = [ticks_at(match) for match in made]
    first = [min(event.time for event in read.events()
                 if event.kind == kind and event.fields.vm == 0) for kind in ("run", last_event)]
    built = min(b - a for a, b in zip(stamps, stamps[1:]))
    return built - filling(image, loaded_pages, int(made[0][2])) + first[1] - first[0]


def hvt_start(build):
    """From the start of a Solo5 guest to its first instruction."""
    pages = 6  # tables, GDT and boot information
    ticks = started(build, f"{build}/tests/bench/hvt_costs.elf", "block:storage=ram:64K", pages,
                    "entry")
    return [row("hvt_start", ticks, "ticks")]


def vm_create(build):
    """From the start of a guest of the native kind to its first exit."""
    return [row("vm_create", started(build, f"{build}/guests/hello.elf", "", START_INFO_PAGES,
                                     "exit"), "ticks")]


def vm_destroy(build):
    """From the exit of a guest that stops another one until that has given everything back and the
    first one goes on, on one core."""
    with tempfile.NamedTemporaryFile(prefix="atoll-bench-") as trace:
        boot(build, [f'{build}/guests/hog.elf victim mem=2M cmdline="ms=200"',
                     f'{build}/tests/bench/stopper.elf stops mem=2M control'], 1,
             options="trace=com2", trace=trace.name, good=1)
        read = dump.read(trace.name)
    events = list(read.events())
    stop = next(i for i, event in enumerate(events)
                if event.kind == "stop" and event.fields.vm == 0)
    before = [event for event in events[:stop] if event.fields.vm == 1][-1]
    after = next(event for event in events[stop:]
                 if event.kind == "entry" and event.fields.vm == 1)
    return [row("vm_destroy", after.time - before.time, "ticks")]


def boot_first_guest(build):
    """From the start of the kernel to the first exit of the first guest, clearing its memory and
    measuring the TSC (20 ms) included."""
    lines = boot(build, [f"{build}/guests/hello.elf h mem=2M"], 1, options="log=exits")
    ticks = ticks_at(found(lines, r"^\[ *([\d.]+)\] cpu0 h\.0: exit ")[0])
    return [row("boot_first_guest", ticks, "ticks")]


def boot_100_guests(build, count=100):
    """From the start of the kernel until each of so many guests has come to its first instruction,
    besides clearing their pages; measuring the TSC (20 ms) is included. What the trace says of the
    first end and what the log says of it are the same moment."""
    naps = f"{build}/tests/bench/naps.elf"
    with tempfile.NamedTemporaryFile(prefix="atoll-bench-") as trace:
        lines = boot(build, [f"{naps} g copies={count} mem=1M"], 1, options="trace=com2",
                     trace=trace.name, good=0, count=count)
        read = dump.read(trace.name)
    first, ends = {}, []
    for event in read.events():
        if event.kind == "entry":
            first.setdefault(event.fields.vm, event.time)
        elif event.kind == "stop":
            ends.append(event.time)
    if len(first) != count or any(read.overwritten().values()):
        raise Failed(f"the trace has the first entry of {len(first)} guests of {count}")
    start = ends[0] - ticks_at(found(lines, r"^\[ *([\d.]+)\] cpu0 g\d+\.0: stopped: ")[0])
    kib = int(found(lines, CREATED.format("g0"))[0][2])
    cleared = filling(naps, START_INFO_PAGES, kib) + RECORD_FRAMES * CLEARING
    return [row("boot_100_guests", max(first.values()) - start - count * cleared, "ticks")]


# ---- Growth

OTHERS = (1, 10, 100, 1000)


def beside(build, count):
    """By name, what a guest measures while `count` other VMs are alive, and what the boot of all of
    them took. Each sleeps with its timer armed: who is awake would rightly take the core."""
    tests = f"{build}/tests/bench"
    lines = boot(build, [
        f'{tests}/exit_costs.elf e mem=2M control cmdline="life={count + 1} '
        f'quiet={1000 + 15 * count}"',
        f"{tests}/asleep.elf other copies={count} mem=1M", f"{tests}/asleep.elf life mem=1M"], 1,
        mem=1536, options="apicv=off", until="cost: vm_destroy")
    if found(lines, r" other\d*\.0: stopped: "):
        raise Failed("one of the others has ended")
    created, = found(lines, rf"^\[ *([\d.]+)\] .*{count + 2} of {count + 2} guests created")
    kib = int(found(lines, CREATED.format("life"))[0][2])
    costs = costs_in(lines)
    costs["vm_create"] -= filling(f"{tests}/asleep.elf", START_INFO_PAGES, kib)
    return {**costs, "vm_memory": kib, "boot": ticks_at(created)}


def growth_row(name, values, unit):
    """How much more the worst is than the first one, in per cent; `values` by number of others."""
    first, *_ = values.values()
    more = 100 * (max(values.values()) / first - 1)
    grown = row(f"growth_{name}", round(more, 1), "% more, worst")
    grown.parts = tuple(Row(f"{name}_with_{count}", value, unit)
                        for count, value in values.items())
    return grown


def growth(build):
    """The same with 1, 10, 100 and 1000 other VMs alive; of the boot, what each of them adds."""
    all_costs = {count: beside(build, count) for count in OTHERS}
    first, *more = OTHERS
    rows = [growth_row(name, {count: costs[name] for count, costs in all_costs.items()},
                       "KiB" if name == "vm_memory" else "ticks")
            for name in all_costs[first] if name != "boot"]
    base = all_costs[first]["boot"]
    boots = {count: round((all_costs[count]["boot"] - base) / (count - first)) for count in more}
    return [*rows, growth_row("boot", boots, "ticks a VM")]


def kernel_size(build):
    """Of the hypervisor's image: its text, and its data with what is zero at first."""
    kib = sizes.sections(build / "atoll.elf")
    return [row("kernel_text_kib", round(kib[".text"], 1), "KiB"),
            row("kernel_data_kib", round(kib[".data"] + kib[".bss"], 1), "KiB")]


def lines_of_code(_):
    """By folder, without blank lines and comments; nothing is promised."""
    return [Row(f"loc_{folder}", count, "lines") for folder, count in sizes.lines(ROOT).items()]


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
    return [row("frame_wake", statistics.median_low(ticks), "ticks, median")]


FIGURES = {
    **{f"shares_{count}_on_{cpus}": lambda build, count=count, cpus=cpus: shares(build, count, cpus)
       for count in (3, 30, 200) for cpus in (1, 2, 4)},
    **{f"witness_beside_{how}": lambda build, how=how: witness(build, how) for how in STORMS},
    "guests_alive": many,
    "timer_wake": timer_wake,
    "doorbell_sleep": lambda build: doorbell(build, "doorbell_sleep", "sleep"),
    "doorbell_spin": lambda build: doorbell(build, "doorbell_spin", "spin"),
    "doorbell_same_core": lambda build: doorbell(build, "doorbell_same_core", "sleep", "sleep", 1),
    "link_round_trip": link_round_trip,
    "sched_switch": sched_switch,
    "exit_costs": exit_costs,
    "vm_memory": vm_memory,
    "vm_create": vm_create,
    "vm_destroy": vm_destroy,
    "boot_first_guest": boot_first_guest,
    "boot_100_guests": boot_100_guests,
    "hvt_costs": hvt_costs,
    "hvt_start": hvt_start,
    "frame_wake": frame_wake,
    "growth": growth,
    "kernel_size": kernel_size,
    "lines_of_code": lines_of_code,
}
