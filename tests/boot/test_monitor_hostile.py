# SPDX-License-Identifier: MIT
"""What comes over the line is not trusted: what a terminal answers to a guest is no command, binary
garbage and endless lines do no harm, and a guest that floods its console keeps nobody."""

import random
import time

import pytest

from harness import image, own_image
from test_monitor import FLOOD, LONG, PROMPT, command, open_monitor

ESCAPE = b"\x0f"  # Ctrl-O


def attach(machine, name):
    machine.sendline(f"console {name}")
    machine.expect_exact(f"[{name}: Ctrl-O leaves")


def test_answers_are_no_commands(console):
    """What arrives between a guest and the prompt is dropped: a terminal that the guest asked
    answers then."""
    machine = open_monitor(console, [f"{image('hog')} a {LONG}"])
    for answer in (b"poweroff\r", b"\x1b[24;80R", b"\x9bpoweroff\r\x9c", b"stop a\rstop a\r" * 20):
        attach(machine, "a")
        machine.send(ESCAPE + answer)
        machine.expect_exact("[a: detached]")
        machine.expect_exact(PROMPT)
        assert b"atoll>" not in machine.before
    assert command(machine, "pause a") == ["a: paused"]  # it lives


def test_what_is_typed_for_a_guest_that_ends(console):
    machine = open_monitor(console, [f"{image('hello')} done", f"{image('hog')} a {LONG}"])
    machine.send(b"console done\rpoweroff\rpoweroff\r")
    machine.expect_exact("[done: it has ended]")
    machine.expect_exact(PROMPT)
    assert command(machine, "stop done")[0].startswith("done: it is stopped")


def test_escape_twice(console):
    machine = open_monitor(console, [f"{image('hog')} a {LONG}"])
    attach(machine, "a")
    machine.send(ESCAPE + ESCAPE)
    machine.expect_exact("[a: detached]")
    machine.expect_exact("[a: Ctrl-O leaves")
    machine.send(ESCAPE)
    machine.expect_exact("[a: detached]")
    machine.expect_exact(PROMPT)
    assert command(machine, "pause a") == ["a: paused"]


def test_terminal_is_made_usable_again(console):
    machine = open_monitor(console, [f"{image('hog')} a {LONG}"])
    attach(machine, "a")
    start = len(machine.raw)
    machine.send(ESCAPE)
    machine.expect_exact("[a: detached]")
    sent = machine.raw[start:]
    for reset in (b"\x1b\\", b"\x1b[?1049l", b"\x1b[r", b"\x1b(B", b"\x0f", b"\x1b[0m", b"25h"):
        assert reset in sent


@pytest.mark.parametrize("cpus", [1, 2])
def test_flood_while_attached(console, cpus):
    guests = [FLOOD.format("loud vcpus=4"), f"{image('hog')} a {LONG}"]
    machine = open_monitor(console, guests, cpus=cpus)
    for _ in range(3):
        attach(machine, "loud")
        machine.expect(rb"\nline \d\.\d{6} ")
        machine.send(b"some keys\r" * 30)
        machine.send(ESCAPE)
        machine.expect_exact("[loud: detached]")
        machine.expect(rb"bytes of its console were lost|log lines meanwhile")
        machine.expect_exact(PROMPT)
    assert command(machine, "pause loud") == ["loud: paused"]


def test_garbage(console):
    """No byte but those of commands has an effect; none crashes anything."""
    machine = open_monitor(console, [f"{image('hog')} a {LONG}"])
    source = random.Random(1)
    for _ in range(20):
        garbage = bytes(source.randrange(256) for _ in range(200))
        machine.send(garbage.replace(b"\r", b"").replace(b"\n", b""))
        machine.send(b"\x03")
    machine.send(b"\x1b[" * 500 + b"\x1b]" + b"z" * 500 + b"\x03")
    machine.send(b"x" * 10000)
    machine.sendline()
    machine.expect(rb'no command "x+"')
    machine.send(b"\x03")
    time.sleep(1)
    assert command(machine, "pause a") == ["a: paused"]


def test_cancel_behind_much_typing(console):
    """Ctrl-C is seen however much was typed ahead."""
    machine = open_monitor(console, [f"{image('hog')} a {LONG}"])
    machine.sendline("top")
    machine.expect_exact("\x1b[?1049h")
    machine.send(b"jkjk" * 100 + b"\x1b[A\x1b[Brrnncc" * 30 + b"\x03")
    machine.expect_exact("\x1b[?1049l")
    machine.expect_exact(PROMPT)
    machine.sendline("log all")
    machine.send(b"z" * 5000 + b"\x03")
    machine.expect_exact(PROMPT)
    time.sleep(1)
    machine.send(b"\x03")
    assert command(machine, "pause a") == ["a: paused"]
