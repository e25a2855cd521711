# SPDX-License-Identifier: MIT
"""The trace: a guest whose exits are known one by one, as babeltrace2 and as tools/trace.py read
them; JSON and a picture that are what they should be; dumps that are not whole."""

import collections
import dataclasses
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys

import matplotlib.image
import pytest

from conftest import prepare
from harness import BUILD, ROOT, Run, image, own_image

import machine

sys.path.insert(0, str(ROOT / "tools"))

import dump
import timeline

TOOL = ROOT / "tools/trace.py"
SCRIPT = own_image("trace_script")
BEGIN, PORT, END = 0x80, 0x2F8, 0x81  # ports, as in tests/guests/trace_script.c
CPUIDS = 3
MANY = 3000
# Between the two accesses: (reason, port). Besides there are only exits that nobody can foretell.
EXITS = [("I/O instruction", BEGIN)] + [("CPUID", None)] * CPUIDS + [("VMCALL", None)] * 2 + \
    [("I/O instruction", PORT), ("EPT violation", None), ("VMCALL", None), ("VMCALL", None),
     ("I/O instruction", END)]
UNFORESEEN = ("preemption timer", "external interrupt")
OVERWRITTEN = "events before these were overwritten"


@dataclasses.dataclass
class Traced:
    """A traced run: what the serial console said, the dump's file and what tools/dump.py reads."""
    run: Run
    file: object
    dump: dump.Dump

    def events(self):
        return self.dump.events()

    def of_vm(self, vm, *kinds):
        return [event for event in self.events()
                if event.kind in kinds and event.fields.vm == vm]


def traced(folder, guests, options, cpus):
    """Boots guests with tracing on, over the second serial port or, by trace=log, the first."""
    lines = "trace=log" in options
    file = folder / "trace"
    spec = prepare(folder / "atoll.iso", guests, cpus=cpus, options=options,
                   trace=None if lines else file)
    run = Run(machine.boot(spec, scratch=folder))
    spec.iso.unlink()
    run.ends(len(guests), len(guests))
    if lines:
        file.write_text(run.text)
    return Traced(run, file, dump.read(file))


def pair(words=""):
    return [f'{SCRIPT} {name} mem=32M link=pair cmdline="{words}"' for name in ("first", "second")]


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Two cores, and all that can happen."""
    return traced(tmp_path_factory.mktemp("moved"), pair("us=1500"),
                  "trace=com2 shuffle slice=200", 2)


@pytest.fixture(scope="module")
def framed(tmp_path_factory):
    """On one core, as lines of the log."""
    return traced(tmp_path_factory.mktemp("framed"), pair(), "trace=log", 1)


@pytest.fixture(scope="module")
def overflown(tmp_path_factory):
    """More events than a ring holds."""
    return traced(tmp_path_factory.mktemp("overflown"), pair(f"cpuids={MANY}"), "trace=com2", 1)


def trace(*words, status=0):
    """Runs the tool; returns what it prints, or its one line when it complains."""
    process = subprocess.run(["/usr/bin/python3", TOOL, *map(str, words)], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.returncode == status, process.stderr
    if status == 0:
        assert process.stderr == ""
        return process.stdout
    assert len(process.stderr.splitlines()) == 1 and process.stderr.startswith("atoll trace: "), \
        process.stderr
    return process.stderr


def read_back(folder):
    """What babeltrace2 reads: (time, core, kind, the values of the fields), a core's in order."""
    process = subprocess.run(["babeltrace2", "--clock-cycles", "--no-delta", folder], text=True,
                             check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found = []
    for line in process.stdout.splitlines():
        time, kind, core, fields = re.fullmatch(
            r"\[0*(\d+)\] (\w+): \{ cpu_id = (\d+) \}, \{ (.*) \}", line).groups()
        labels = re.findall(r'\( "([^"]+)" : container = \d+ \)', fields)
        fields = re.sub(r'\( "[^"]+" : container = (\d+) \)', r"\1", fields)
        values = [value.partition(" = ")[2] for value in fields.split(", ")]
        found.append((int(time), int(core), kind,
                      tuple(value.strip('"') if value[0] == '"' else int(value, 0)
                            for value in values), labels))
    return sorted(found, key=lambda row: (row[1], row[0])), process.stderr


@pytest.mark.parametrize("which", ["moved", "framed", "overflown"])
def test_babeltrace2_reads_the_same(which, request, tmp_path):
    run = request.getfixturevalue(which)
    trace("--summary", "--ctf", tmp_path / "ctf", run.file)
    rows, said = read_back(tmp_path / "ctf")
    assert [row[:4] for row in rows] == [
        (event.time, event.core, event.kind, tuple(event.fields))
        for packet in sorted(run.dump.packets, key=lambda packet: packet.core)
        for event in packet.events]
    for time, core, kind, values, labels in rows:
        name = {"exit": run.dump.exit_name, "stop": run.dump.stop_name}.get(kind)
        assert labels == ([name(values[2])] if name else [])
    assert ("discarded" in said) == (which == "overflown")
    assert run.dump.problems == [] and run.dump.names() == {0: "first", 1: "second"}


@pytest.mark.parametrize("which", ["moved", "framed"])
@pytest.mark.parametrize("vm", [0, 1])
def test_exits_are_those_of_the_guest(which, vm, request):
    run = request.getfixturevalue(which)
    exits = [(run.dump.exit_name(event.fields.reason), event.fields.qualification >> 16)
             for event in run.of_vm(vm, "exit")]
    exits = [(name, port if name == "I/O instruction" else None) for name, port in exits
             if name not in UNFORESEEN]
    at = exits.index(EXITS[0])
    assert exits[at:at + len(EXITS)] == EXITS
    cpuids = [event.fields.rip for event in run.of_vm(vm, "exit")
              if run.dump.exit_name(event.fields.reason) == "CPUID"][-CPUIDS:]
    assert len(set(cpuids)) == 1


@pytest.mark.parametrize("which", ["moved", "framed"])
def test_events_pair_up(which, request):
    run = request.getfixturevalue(which)
    for _, events in itertools.groupby(sorted(run.events(), key=lambda event: event.core),
                                       key=lambda event: event.core):
        events = list(events)
        for begin, end in (("run", "pause"), ("entry", "exit")):
            pairs = [event for event in events if event.kind in (begin, end)]
            assert [event.kind for event in pairs] == [begin, end] * (len(pairs) // 2)
            assert all(one.fields[:2] == other.fields[:2]
                       for one, other in zip(pairs[::2], pairs[1::2]))
        depth = 0
        for event in events:
            depth += {"run": 1, "pause": -1}.get(event.kind, 0)
            assert depth == 1 or event.kind not in ("entry", "exit", "inject")
    for vm in (0, 1):
        sleeps = [event.kind for event in run.of_vm(vm, "sleep", "wake")]
        assert sleeps == ["sleep", "wake"] * 2


def test_all_kinds_appear(moved):
    for vm in (0, 1):
        begin, end = (event.time for event in moved.of_vm(vm, "exit")
                      if event.fields.qualification >> 16 in (BEGIN, END) and
                      moved.dump.exit_name(event.fields.reason) == "I/O instruction")
        # Before and behind that they come from a VM that arrives or goes.
        bell, = (event for event in moved.of_vm(vm, "doorbell") if begin <= event.time <= end)
        assert bell.fields.to == 1 - vm
        stop, = moved.of_vm(vm, "stop")
        assert moved.dump.stop_name(stop.fields.reason) == "GUEST_EXIT"
        core, moves = None, 0
        for event in moved.of_vm(vm, "migrate", "run"):
            if event.kind == "run":
                assert core in (None, event.core)
                core = event.core
            else:
                assert event.core in (None, core) and event.fields.to != core
                core, moves = event.fields.to, moves + 1
        assert moves >= 5


def test_overwritten_events_are_counted(overflown):
    """What is there and what is not is what the hypervisor counted: an entry and an exit each."""
    logged = overflown.run.has(r"atoll: trace: (\d+) events, (\d+) were overwritten")
    lost, = overflown.dump.overwritten().values()
    assert (len(overflown.events()), lost) == (int(logged[1]), int(logged[2]))
    exits = sum(int(match[1]) for match in
                overflown.run.matches(r"atoll: (?:first|second) +status 0 .* us +(\d+) +\d+ "))
    assert exits > 2 * MANY
    assert 2 * exits < len(overflown.events()) + lost < 2 * exits + 200
    assert len(overflown.dump.packets) == 16  # with the names'
    assert f"{lost} {OVERWRITTEN}" in trace("--summary", overflown.file)


def check_nesting(events):
    """Of slices that are sorted: each within what is open, or behind it."""
    tracks = collections.defaultdict(list)
    for event in events:
        begin = round(event["ts"] * 1000)
        end = begin + round(event["dur"] * 1000)
        stack = tracks[event["pid"], event["tid"]]
        while stack and stack[-1][1] <= begin:
            stack.pop()
        assert begin <= end and (not stack or end <= stack[-1][1]), event
        assert len(stack) == (0 if event["name"] in ("running", "asleep") or
                              event["pid"] > 0xFFFF else 1), event
        stack.append((begin, end))


def check_json(text, names):
    """The rules of the Trace Event Format that viewers rely on; returns the events by phase."""
    whole = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    phases = collections.defaultdict(list)
    for event in whole["traceEvents"]:
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert event["name"] and event["ph"] in "MXisf"
        assert event["ph"] == "M" or event["ts"] >= 0
        assert event["ph"] != "i" or event["s"] in "tpg"
        phases[event["ph"]].append(event)
    times = [event["ts"] for event in whole["traceEvents"] if event["ph"] != "M"]
    assert times == sorted(times) and times[0] == 0
    check_nesting(phases["X"])
    processes = {event["pid"]: event["args"]["name"] for event in phases["M"]
                 if event["name"] == "process_name"}
    assert list(processes.values()) == ["cores", *names]
    threads = {(event["pid"], event["tid"]) for event in phases["M"]
               if event["name"] == "thread_name"}
    assert all((event["pid"], event["tid"]) in threads for phase in "Xisf"
               for event in phases[phase])
    assert sorted(event["id"] for event in phases["s"]) == \
        sorted(event["id"] for event in phases["f"])
    return phases


@pytest.mark.parametrize("which", ["moved", "framed", "overflown"])
def test_json(which, request, tmp_path):
    run = request.getfixturevalue(which)
    trace("-o", tmp_path / "out.json", run.file)
    phases = check_json((tmp_path / "out.json").read_text(), ["first", "second"])
    events = run.events()
    exits = [event for event in events if event.kind == "exit"]
    slices = [event for event in phases["X"] if "rip" in event["args"]]
    assert collections.Counter(event["name"] for event in slices) == \
        collections.Counter(run.dump.exit_name(event.fields.reason) for event in exits)
    assert sum(event["args"]["cost_ticks"] for event in slices) == \
        sum(event.fields.cost for event in exits)
    instants = collections.Counter(event["name"].split()[0].rstrip(":") for event in phases["i"])
    instants.pop("earlier", None)  # ones were overwritten
    assert instants == collections.Counter(
        event.kind for event in events
        if event.kind in ("inject", "wake", "migrate", "doorbell", "stop"))
    running = [event for event in phases["X"] if event["name"] == "running"]
    on_cores = [event for event in phases["X"] if event["pid"] > 0xFFFF]
    assert len(running) == len(on_cores)
    assert sum(event["dur"] for event in running) == \
        pytest.approx(sum(event["dur"] for event in on_cores))
    if which != "overflown":
        assert len(running) == sum(event.kind == "run" for event in events)
        assert sum(event["name"] == "asleep" for event in phases["X"]) == 4


def test_the_table(moved):
    table = trace("--summary", moved.file)
    rows = dict(line.rsplit(maxsplit=1) for line in
                table.partition("EVENT")[2].partition("EXIT")[0].splitlines()[1:] if line)
    kinds = collections.Counter(event.kind for event in moved.events())
    assert {kind: int(count) for kind, count in rows.items()} == kinds
    exits = re.findall(r"^(\S.*?) +(\d+) +[\d.]+ +([\d.]+)% +\d+ +\d+$", table, re.MULTILINE)
    assert sum(int(count) for _, count, _ in exits) == kinds["exit"]
    assert 99 < sum(float(share) for _, _, share in exits) < 101
    assert OVERWRITTEN not in table and max(map(len, table.splitlines())) <= 80


def test_picture(moved, tmp_path):
    for words in ([], ["--from", "1", "--to", "2.5"]):
        trace("--plot", tmp_path / "x.png", *words, "-o", tmp_path / "x.json", moved.file)
        pixels = matplotlib.image.imread(tmp_path / "x.png")
        assert pixels.shape[:2] == (1000, 1600)
        colors = collections.Counter(map(tuple, (pixels[::2, ::2, :3] * 255).astype(int)
                                         .reshape(-1, 3).tolist()))
        white = colors[255, 255, 255] / colors.total()
        assert 0.3 < white < 0.95
        for color in ((0, 114, 178), (230, 159, 0)):  # of the two vCPUs
            assert colors[color] > 2000
    assert (tmp_path / "x.png").stat().st_size < 200 << 10


def test_a_cut_dump_is_used_up_to_there(moved, tmp_path):
    whole = moved.file.read_bytes()
    start = dump.FIRST_LINE.match(whole)
    packets = start.end() + int(start[1])
    cut = tmp_path / "cut"
    random_places = random.Random(1).sample(range(1, len(whole)), 12)
    for length in [1, start.end(), packets - 1, packets, packets + 4096, packets + 2 * 4096 + 5,
                   len(whole) - 1, *random_places]:
        cut.write_bytes(whole[:length])
        said = trace("-o", tmp_path / "cut.json", cut, status=2)
        if packets + 2 * 4096 <= length:
            assert f"cut off at byte {length}" in said and "the rest was used" in said
            check_json((tmp_path / "cut.json").read_text(), ["first", "second"])
            events = dump.read(cut).events()
            assert set(events) <= set(moved.events())
            assert len(events) >= 100


def test_a_cut_log_is_used_up_to_there(framed, tmp_path):
    lines = framed.run.lines
    begin, end = (next(number for number, line in enumerate(lines)
                       if line.startswith(f"atoll-trace: {word}")) for word in ("BEGIN", "END"))
    cut = tmp_path / "cut"

    def said(lines):
        cut.write_text("\n".join(lines) + "\n")
        return trace("--summary", cut, status=2)

    assert "holds no dump" in said(lines[:begin])
    for place in (begin, begin + 1, begin + 50):
        said(lines[:place + 1])
    assert "cut off at byte" in said(lines[:end - 2])
    assert "are said to stand before it" in said(lines[:end - 2] + lines[end - 1:])
    assert f"line {end}: no base64" in said(lines[:end - 1] + ["atoll-trace: !"] + lines[end:])
    # What stands between is not the dump's, and of two dumps the last one counts.
    mixed = lines[:begin + 9] + lines[:begin + 20] + ["first| atoll-trace: x"] + lines[begin + 20:]
    cut.write_text("\r\n".join(mixed) + "\r\n")
    again = dump.read(cut)
    assert (again.problems, again.dumps) == ([], 2) and again.events() == framed.events()


@pytest.mark.parametrize("place, bits, says", [
    (0, 0xFF, "does not begin like one"), (5, 1, "does not begin like one"),
    (9, 1, "bits of content"), (12, 0x40, "bits of content"), (46, 0x40, "is of core"),
    (47, 0x80, "has no record"), (55, 0x40, "with a wrong time"), (37, 8, " of core 0, not "),
    (29, 1, "other events as overwritten")])
def test_a_wrong_packet_is_left_out(overflown, tmp_path, place, bits, says):
    data = bytearray(overflown.file.read_bytes())
    start = dump.FIRST_LINE.match(data)
    packet = start.end() + int(start[1]) + 2 * 4096
    data[packet + place] ^= bits
    (tmp_path / "bad").write_bytes(data)
    said = trace("-o", tmp_path / "bad.json", tmp_path / "bad", status=2)
    assert says in said and "byte " in said
    check_json((tmp_path / "bad.json").read_text(), ["first", "second"])


def test_of_two_dumps_the_last_one_counts(moved, overflown, tmp_path):
    both = tmp_path / "both"
    both.write_bytes(overflown.file.read_bytes() + moved.file.read_bytes())
    again = dump.read(both)
    assert (again.problems, again.dumps) == ([], 2) and again.events() == moved.events()


def made_of(*cores):
    """A dump with these events: for each core (time, kind, fields...) of VM 0's vCPU 0."""
    records = {kind: fields for kind, fields, _ in dump.RECORDS.values()}
    packets = [dump.Packet(core, 0, 0, b"", [
        dump.Event(time, core, kind, records[kind](0, 0, *fields))
        for time, kind, *fields in events]) for core, events in enumerate(cores)]
    return dump.Dump(b"", len(cores), 10**9, {}, {}, packets)


def test_what_is_lost_of_a_slice():
    """Its end, while it goes on elsewhere; its begin; and exits that are cut with it."""
    line = timeline.of(made_of(
        [(100, "run"), (110, "entry"), (150, "exit", 10, 0, 0, 20), (155, "entry"),
         (230, "exit", 10, 0, 0, 60)],
        [(200, "run"), (300, "pause"), (310, "sleep"), (400, "wake"), (410, "run"),
         (420, "entry")]))
    slices = line.vcpus[0, 0]
    assert [(piece.core, piece.begin, piece.end) for piece in slices] == \
        [(0, 100, 200), (1, 200, 300), (1, 410, 420)]
    assert [exit[:2] for exit in slices[0].exits] == [(130, 150), (170, 200)]
    assert line.sleeps[0, 0] == [(310, 400)]

    line = timeline.of(made_of([(150, "exit", 10, 0, 0, 20), (160, "pause"), (170, "sleep")]))
    piece, = line.vcpus[0, 0]
    assert (line.begin, piece.begin, piece.end) == (130, 130, 160)
    assert line.sleeps[0, 0] == []
    line = timeline.of(made_of([(100, "wake"), (110, "run")], [(50, "wake")]))
    assert line.sleeps[0, 0] == []


def test_files_that_are_no_dump(tmp_path):
    bad = tmp_path / "bad"
    bytes_of = random.Random(2).randbytes
    for data, says in ((b"", "empty"), (bytes_of(5000), "holds no dump"),
                       (b"ATOLLTRACE 1 9 1 4096\n" + bytes_of(9000), "no metadata"),
                       (b"ATOLLTRACE 1 9999999 1 4096\n/* CTF 1.8 */", "cut off at byte 41"),
                       (b"ATOLLTRACE 1 0 1 0\n", "packets of 0 bytes"),
                       (b"atoll-trace: BEGIN\natoll-trace: END 0\n", "no dump")):
        bad.write_bytes(data)
        assert says in trace(bad, status=2)
    assert "no file" in trace(tmp_path / "none", status=2)
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_random_bytes_in_packets_harm_nothing(overflown, tmp_path):
    """The reader leaves them out; what it makes of those that pass is still in order."""
    whole = overflown.file.read_bytes()
    start = dump.FIRST_LINE.match(whole)
    packets = start.end() + int(start[1])
    numbers = random.Random(3)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(numbers.choice((1, 3, 40))):
            data[numbers.randrange(packets, len(data))] = numbers.randrange(256)
        (tmp_path / "bad").write_bytes(data)
        line = timeline.of(dump.read(tmp_path / "bad"))
        for pieces in (*line.cores.values(), *line.vcpus.values()):
            assert all(piece.begin <= piece.end for piece in pieces)
            assert all(one.end <= other.begin for one, other in zip(pieces, pieces[1:]))


def test_a_folder_of_others_is_not_touched(moved, tmp_path):
    shutil.copy(moved.file, tmp_path / "trace")
    assert "name a new folder" in trace("--summary", "--ctf", tmp_path, moved.file, status=2)
    assert "is the dump itself" in trace("-o", tmp_path / "trace", tmp_path / "trace", status=2)
    for _ in range(2):  # the second time over the first
        trace("--summary", "--ctf", tmp_path / "ctf", moved.file)
    assert len(read_back(tmp_path / "ctf")[0]) == \
        sum(len(packet.events) for packet in moved.dump.packets)


def atoll(*words):
    return subprocess.run([ROOT / "atoll", *map(str, words)], text=True, check=False,
                          env=dict(os.environ, ATOLL_BUILD=str(BUILD)), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_run_traces_in_one_go(tmp_path):
    """A guest that fails is no reason to have no trace."""
    file = tmp_path / "a trace"
    process = atoll("run", "--no-install", "--machine", "bochs", "--cpus", "1", "--trace", file,
                    "--plot", tmp_path / "x.png", "--", f"{image('hello')} good",
                    f"{image('crash')} bad cmdline=how=triple")
    assert process.returncode == 1, process.stdout + process.stderr
    assert "ATOLLTRACE" not in process.stdout and "EXIT" in process.stderr
    phases = check_json((tmp_path / "a trace.json").read_text(), ["good", "bad"])
    assert sorted(event["name"] for event in phases["i"] if event["name"].startswith("stop")) == \
        ["stop: GUEST_EXIT", "stop: TRIPLE_FAULT"]
    assert matplotlib.image.imread(tmp_path / "x.png").shape[:2] == (1000, 1600)

    process = atoll("trace", "--no-install", "--summary", file)
    assert process.returncode == 0 and process.stderr == ""
    assert "triple fault" in process.stdout


@pytest.mark.parametrize("words, says", [
    (["run", "--plot", "x.png", "--", "x"], "add --trace FILE"),
    (["run", "--trace", "none/x", "--", "x"], "--trace none/x: there is no folder none"),
    (["demo", "--trace", "x", "--plot", "none/x"], "--plot none/x: there is no folder none"),
    (["trace"], "FILE"), (["trace", "none"], "no file none"), (["trace", "--frob", "x"], "--frob"),
    (["trace", "--plot", "x", "--from", "2", "--to", "1", "x"], "--from must be less than --to"),
    (["trace", "--from", "1", "x"], "--plot shows"), (["trace", "--from", "soon", "x"], "'soon'"),
    (["trace", "-o", "x", "--summary", "x"], "--summary writes no JSON")], ids=str)
def test_wrong_usage(words, says):
    process = atoll(*words)
    assert process.returncode == 2 and says in process.stderr, process.stderr
    assert process.stdout == "" and "building" not in process.stderr
