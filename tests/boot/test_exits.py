# SPDX-License-Identifier: MIT
"""The command `exits`: exact counts of a guest that exits as often as is known, and a table that
adds up."""

import json
import re

from harness import own_image

GUEST = own_image("exit_counts")
CPUIDS = 40  # as in tests/guests/exit_counts.c, of the first VM
CALLS = {"null": 30, "wall_clock": 7, "unknown": 5}
SLEEPS = 6
PORTS = {0x80: 20, 0x2F8: 3, 0xFFFF: 1}
PAGES = 9
PLACE = 48 << 20


def start(console, count, options=""):
    """Boots that many of the guest and waits until all have counted and sleep."""
    machine = console([f"{GUEST} g{i} mem=64M" for i in range(count)], options=options)
    for i in range(count):
        machine.expect(rb"counted")
    machine.sendline()
    machine.expect(rb"atoll> ")
    return machine


def command(machine, line):
    """What a command writes: its lines, between what was typed and the next prompt."""
    machine.sendline(line)
    machine.expect_exact(f"atoll> {line}\r\n")
    machine.expect_exact("atoll> ")
    lines = re.sub(rb"\r|\x1b\[K", b"", machine.before).decode("ascii").split("\n")
    return [text for text in lines if text]


def objects(machine, line):
    return [json.loads(text) for text in command(machine, line)]


def counts(rows):
    """By label."""
    return {row["exit"]: row["count"] for row in rows if "exit" in row}


def check_counts(rows, times):
    """What the guest does besides its start."""
    found = counts(rows)
    for name, count in CALLS.items():
        assert found[f"VMCALL {name}"] == count * times
    assert found["VMCALL sleep_for"] == SLEEPS * times + 1  # and the one that it is in
    for port, count in PORTS.items():
        assert found[f"I/O port {port:#x}"] == count * times
    ports = {label: count for label, count in found.items() if label.startswith("I/O port 0x3")}
    assert set(ports.values()) == {1}
    assert len(ports) == 16 - len(PORTS)
    assert found["I/O port others"] == 16 - len(ports)
    for place in (PLACE, PLACE + (2 << 20)):
        assert found[f"EPT violation {place:#x}"] == PAGES * times


def check_costs(rows):
    """Figures of a row fit each other, and all rows the whole."""
    exits = [row for row in rows if "exit" in row]
    for row in exits:
        assert 0 < row["min_ticks"] <= row["mean_ticks"] <= row["max_ticks"], row
    assert [row["us"] for row in exits] == sorted((row["us"] for row in exits), reverse=True)
    for share in ("share", "time_share"):
        assert 100 - 0.1 * len(exits) <= sum(row[share] for row in exits) <= 100.01
    states = [row for row in rows if "state" in row]
    assert [row["state"] for row in states][:3] == ["running", "runnable", "asleep"]
    assert 99 <= sum(row["share"] for row in states) <= 100.01
    wakes = [row for row in rows if "wake_ups" in row and "worst_ns" in row][0]
    buckets = [row for row in rows if "up_to_ns" in row]
    assert sum(row["wake_ups"] for row in buckets) == wakes["wake_ups"]
    assert wakes["median_ns"] <= wakes["p99_ns"] <= wakes["worst_ns"]
    return wakes


def test_counts_are_exact(console):
    machine = start(console, 2)
    first, second = objects(machine, "exits g0 -j"), objects(machine, "exits g1.0 -j")
    check_counts(first, 1)
    check_counts(second, 2)
    assert counts(second)["CPUID"] - counts(first)["CPUID"] == CPUIDS
    assert check_costs(first)["wake_ups"] >= SLEEPS
    assert check_costs(second)["wake_ups"] >= 2 * SLEEPS

    both = counts(objects(machine, "exits -j"))
    for label in ("CPUID", "VMCALL null", "I/O port 0x80", f"EPT violation {PLACE:#x}"):
        assert both[label] == counts(first)[label] + counts(second)[label]


def test_the_table(console):
    machine = start(console, 2)
    table = command(machine, "exits g1")
    assert max(len(line) for line in table) <= 80
    assert re.fullmatch(r"g1: 1 vCPU; ticks of the TSC, \d+ kHz", table[0])
    assert table[1].split() == ["EXIT", "COUNT", "SHARE", "TIME", "us", "SHARE", "MIN", "MEAN",
                                "MAX"]
    rows = [line for line in table[2:] if line.startswith(("VMCALL", "I/O", "EPT", "CPUID"))]
    assert rows, table

    def count(start):
        return [int(re.match(re.escape(start) + r" +(\d+) ", line)[1])
                for line in table if re.match(re.escape(start) + r" +\d", line)]

    assert count("VMCALL null") == [2 * CALLS["null"]]
    assert count("= all EPT violations")[0] >= 4 * PAGES
    assert sum(int(line[24:34]) for line in table[2:2 + 25] if not line.startswith("=")
               and re.match(r".{23} +\d", line)) == count("= all exits")[0]
    assert any(re.match(r"asleep +\d+ +\d+\.\d%$", line) for line in table)
    assert any(re.match(r" *\d+ +\d+ +\d+\.\d% #+$", line) for line in table)


def test_earlier_lives_are_one_line(console):
    machine = start(console, 1)
    before = sum(counts(objects(machine, "exits g0 -j")).values())
    assert {"earlier_exits": 0} in objects(machine, "exits g0 -j")
    machine.sendline("restart g0")
    machine.expect(rb"counted")
    again = objects(machine, "exits g0 -j")
    earlier = [row["earlier_exits"] for row in again if "earlier_exits" in row]
    assert len(earlier) == 1 and before <= earlier[0] <= before + 10
    check_counts(again, 1)
    assert f"and {earlier[0]} exits in earlier lives" in command(machine, "exits g0")
    command(machine, "stop g0")
    ended = counts(objects(machine, "exits g0 -j"))
    assert ended == {}


def test_what_is_not_there(console):
    machine = start(console, 1)
    assert command(machine, "exits nobody") == ['no VM "nobody"; list shows them all']
    assert command(machine, "exits g0.1") == ['no vCPU "g0.1": expected g0.0 to g0.0']
    assert "expected: exits" in command(machine, "exits g0 g0")[0]
    assert command(machine, "exits nobody -j") == \
        ['{"error":"no VM \\"nobody\\"; list shows them all"}']
