# SPDX-License-Identifier: MIT
"""Consoles of guests in the log: the calls, the rate of lines, what is dropped is counted, and what
a guest writes passes for nobody else's."""

import re

import pytest

from harness import image, own_image

CONSOLE_TEST = own_image("console_test")
BURST, RATE = 500, 100  # as in kernel/vm/console.h


def dropped(run, name):
    """How many lines of this guest were dropped, by the hypervisor's own count."""
    report = rf"cpu\d+ {name}: console: (\d+) lines dropped, more than {RATE} a second$"
    return sum(int(match[1]) for match in run.matches(report))


def numbered(run, name, vcpu=0):
    """The numbers of the lines of one vCPU that are in the log; each line must be whole."""
    numbers = []
    for line in run.of_guest(name):
        match = re.fullmatch(r"line (\d+)\.(\d{6}) ([0-9a-f]{8})", line)
        if not match:
            run.fail(f"not one of the lines that were written: {line!r}")
        writer, number = int(match[1]), int(match[2])
        if int(match[3], 16) != (number * 64 + writer + 1) * 0x9e3779b1 % 2**32:
            run.fail(f"put together from two lines: {line!r}")
        if writer == vcpu:
            numbers.append(number)
    return numbers


def seconds(run):
    """The time that the log covers."""
    return float(run.matches(r"^\[ *(\d+\.\d+)\]")[-1][1])


def test_calls(boot):
    run = boot([f"{CONSOLE_TEST} test"])
    run.ends(1, 1)
    run.lacks("FAILURE")
    run.has(r"test\| console_test: (\d+) of \1 checks as expected")


def test_unfinished_line(boot):
    run = boot([f"{CONSOLE_TEST} test cmdline=do=half"])
    run.ends(1, 1)
    assert run.of_guest("test") == ["first", "the rest waits for its newline"]


@pytest.mark.parametrize("cpus, vcpus", [(1, 1), (2, 1), (4, 4)])
def test_flood_is_limited(boot, cpus, vcpus):
    count = 4000 // vcpus
    run = boot([f"{CONSOLE_TEST} loud vcpus={vcpus} cmdline=lines={count}",
                f"{CONSOLE_TEST} quiet cmdline=lines=300", f"{CONSOLE_TEST} test"], cpus=cpus)
    run.ends(3, 3)
    run.lacks(r"log: \d+ lines lost")
    shown = 0
    for vcpu in range(vcpus):
        numbers = numbered(run, "loud", vcpu)
        assert numbers == sorted(set(numbers)), run.text  # none twice, in their order
        assert all(number < count for number in numbers), run.text
        shown += len(numbers)
    assert dropped(run, "loud") > 0, "the flood was too small to test anything"
    assert shown + dropped(run, "loud") == count * vcpus, run.text
    assert BURST <= shown <= BURST + RATE * seconds(run) + 1, run.text

    assert numbered(run, "quiet") == list(range(300)), run.text
    assert dropped(run, "quiet") == 0
    run.has(r"test\| console_test: (\d+) of \1 checks as expected")


def test_burst_survives_no_restart(boot):
    """A guest that starts again and again has no burst for each life."""
    run = boot([f"{CONSOLE_TEST} loud restart=always,limit=3,backoff=1 cmdline=lines=400"])
    run.ends(1, 1)
    shown = len(numbered(run, "loud"))
    assert shown + dropped(run, "loud") == 4 * 400, run.text
    assert shown <= BURST + RATE * seconds(run) + 1, run.text


def test_forged_lines_are_escaped(boot):
    run = boot([f"{CONSOLE_TEST} liar cmdline=do=forge", f"{CONSOLE_TEST} other"])
    run.ends(2, 2)
    forgery = "[    0.000001] cpu0 atoll: panic: forged"
    beginnings = ["", r"\x0d", r"\x08" * 10, "", r"\x0b\x0d", r"\x0c", r"\x1b[1A\x1b[2K\x0d",
                  r"\x9b2J\x9bH", r"\xc2\x9b2J", r"\x1b]0;title\x07", r"\x1bc", r"\x7f\xff",
                  "other| "]
    expected = [beginning + forgery for beginning in beginnings]
    expected.insert(3, "")
    expected.append(r"a\x00b")
    assert run.of_guest("liar") == expected, run.text
    for line in run.lines:
        if "forged" in line and not re.match(r"\[ *\d+\.\d{6}\] liar\| ", line):
            run.fail(f"forged: {line!r}")
    assert not re.search(r"[^\r\n\x20-\x7e]", run.text)
    assert not any("forged" in line for line in run.of_guest("other"))


def test_nobody_can_type(boot):
    """Without a terminal, who waits for a line sleeps for good, and the machine ends by itself."""
    run = boot([f"{image('shell')} shell"], options="com=none")
    assert not run.lines
    assert run.status == 3 and run.elapsed < 60
