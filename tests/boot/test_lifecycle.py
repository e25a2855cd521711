# SPDX-License-Identifier: MIT
"""Guests that are paused, stopped and started by another one, that start again by restart=, or that
sleep for good; and what their neighbours notice of it: nothing."""

import re

import pytest

from harness import image, own_image

BRIEF = "how=exit status="


def boot_controller(boot, victim, options, neighbour_ms, **machine):
    """Boots a controller, its victim and a neighbour, which must outlive both: what it frees is no
    business of the controller's count. All of the controller's checks hold."""
    run = boot([f'{own_image("controller")} controller control cmdline="{options}"', victim,
                f'{image("sleeper")} neighbour cmdline="n={neighbour_ms // 10} gap=10000"'],
               timeout=200, **machine)
    run.lacks("FAILURE")
    done = run.has(r"controller\| controller: (\d+) of (\d+) checks as expected")
    assert done[1] == done[2] and int(done[1]) >= 17, run.text
    run.has(r"neighbour\| sleeper: \d+ wake-ups")
    run.ends(2, 3)
    return run


VICTIMS = {
    "computes": "{hog} victim cmdline=ms=100000",
    "is deaf": '{bad_neighbour} victim vcpus=4 cmdline="how=loop ms=100000"',
    "calls": '{bad_neighbour} victim cmdline="how=exits ms=100000"',
    "yields": '{bad_neighbour} victim vcpus=2 cmdline="how=yield ms=100000"',
    "sleeps in HLT": '{sleeper} victim cmdline="n=1000000 gap=300"',
    "sleeps by calls": '{bad_neighbour} victim vcpus=3 cmdline="how=sleep ms=100000"',
    "sends IPIs": '{bad_neighbour} victim vcpus=4 cmdline="how=ipi ms=100000"',
    "arms its timer": '{bad_neighbour} victim vcpus=2 cmdline="how=timer ms=100000"',
    "rings": '{bad_neighbour} victim vcpus=2 link=a cmdline="how=doorbell ms=100000"',
    "is capped": "{hog} victim cap=10 cmdline=ms=100000",
}


def line_of(victim):
    images = {name: image(name) for name in ("hog", "sleeper")}
    return VICTIMS[victim].format(bad_neighbour=own_image("bad_neighbour"), **images)


@pytest.mark.parametrize("victim, cpus", [(victim, 4) for victim in VICTIMS] + [
    ("is deaf", 1), ("sends IPIs", 1), ("sleeps in HLT", 2)])
def test_stop_at_any_moment(boot, victim, cpus):
    """Each of its lives is 130 microseconds longer than the one before."""
    boot_controller(boot, line_of(victim), "cycles=40 step=130", 1000, cpus=cpus)


def test_thousand_starts_and_stops(boot):
    run = boot_controller(boot, line_of("computes"), "cycles=1000", 2000)
    run.has(r"victim +OPERATOR .* 1003 +\d+ KiB")
    assert len(run.matches(r" victim: created: ")) == 1003


def test_without_control(boot):
    run = boot([f"{own_image('controller')} controller cmdline=expect=denied"])
    run.ends(1, 1)
    run.lacks("FAILURE")


def test_thousand_restarts(boot):
    """These are more lines than the log holds and the line carries, so some may be missing."""
    run = boot([f'{image("crash")} brief restart=always,limit=1000,backoff=0 '
                f'cmdline="{BRIEF}0"', f"{image('witness')} witness"], cpus=2, timeout=200)
    run.ends(2, 2)
    run.has(r"witness\| witness: \d+ rounds, memory intact")
    again = run.matches(r" brief: starts again in 0 ms \(restart (\d+)\)")
    numbers = [int(match[1]) for match in again]
    assert numbers == sorted(set(numbers)) and len(numbers) > 900 and numbers[-1] <= 1000
    run.has(r"atoll: brief +status 0 .* 1001 +\d+ KiB")


@pytest.mark.parametrize("policy, status, restarts", [
    ("never", 3, 0), ("on-failure", 0, 0), ("on-failure", 3, 2), ("always", 0, 2)])
def test_restart_policies(boot, policy, status, restarts):
    run = boot([f'{image("crash")} brief restart={policy},limit=2,backoff=1 '
                f'cmdline="{BRIEF}{status}"'])
    run.ends(status == 0, 1)
    assert len(run.matches(r" brief: starts again in ")) == restarts
    assert len(run.matches(r" brief\.0: stopped: GUEST_EXIT: ")) == restarts + 1
    if restarts:
        run.has(r" brief: does not start again: 2 restarts are the limit")


def stamps(run, pattern):
    return [float(re.match(r"\[ *([\d.]+)\]", match.string)[1]) for match in run.matches(pattern)]


@pytest.mark.parametrize("backoff, waits", [
    (10, [10, 20, 40, 80, 160]), (400, [400, 800, 1000, 1000])])
def test_backoff_doubles(boot, backoff, waits):
    """There is no neighbour: only the timer of the restart keeps the machine going."""
    run = boot([f'{image("crash")} brief restart=on-failure,limit={len(waits)},backoff={backoff} '
                f'cmdline="{BRIEF}1"'])
    run.ends(0, 1)
    assert [int(m[1]) for m in run.matches(r"starts again in (\d+) ms")] == waits
    planned = stamps(run, r" brief: starts again in ")
    created = stamps(run, r" brief: created: ")[1:]
    for wait, start, end in zip(waits, planned, created):
        assert wait / 1000 <= end - start <= wait / 1000 + 0.003, run.text


def test_restart_is_fresh(boot):
    """Its RAM is zeroed though its last life has written there; its own counters start at 0."""
    run = boot([f"{own_image('lazy_test')} lazy restart=always,limit=3,backoff=0",
                f"{own_image('smp_test')} smp vcpus=3 restart=always,limit=3,backoff=0",
                f"{image('sorter')} dirty restart=always,limit=3,backoff=0"], cpus=4)
    run.ends(3, 3)
    run.lacks("FAILURE")
    for name, test in (("lazy", "lazy_test"), ("smp", "smp_test")):
        lives = {match[0] for match in run.matches(rf"{name}\| {test}: \d+ of \d+ checks")}
        assert len(lives) == 1, lives
        assert len(run.matches(rf"{name}\| {test}: ")) == 4


@pytest.mark.parametrize("cpus", [1, 2])
def test_all_vcpus_sleep_for_good(boot, cpus):
    """Of the first guest only one vCPU was ever started."""
    run = boot([f'{image("crash")} alone vcpus=3 cmdline="how=hlt-forever"',
                f'{own_image("bad_neighbour")} all vcpus=4 cmdline="how=halt"',
                f'{own_image("bad_neighbour")} single cmdline="how=halt"',
                f'{image("sleeper")} sleeper cmdline="n=20 gap=5000"'], cpus=cpus)
    run.ends(1, 4)
    run.has(r" alone\.0: stopped: HALTED_FOREVER: all 3 vCPUs are halted or were never started")
    run.has(r" all\.\d: stopped: HALTED_FOREVER: all 4 vCPUs")
    run.has(r" single\.0: stopped: HALTED_FOREVER: HLT with RFLAGS.IF=1")
    run.has(r"sleeper\| sleeper: 20 wake-ups")


def test_five_hundred_guests_at_once(boot):
    """None ends before its second wake-up, and long before that the last one was started."""
    run = boot([f'{image("sleeper")} g{number} mem=1M cmdline="n=2 gap=300000"'
                for number in range(500)], cpus=4, mem=1024, timeout=300)
    run.ends(500, 500)
    run.has(r"500 of 500 guests created")
    for number in range(500):
        run.has(rf"\] g{number}\| sleeper: 2 wake-ups, ")
    assert min(stamps(run, r"\.0: stopped: ")) > max(stamps(run, r": created: ")) + 0.4
