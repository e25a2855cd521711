# SPDX-License-Identifier: MIT
"""The demos, on 1, 2, 4 and 8 cores: the guests say what they should and end as they should."""

import pytest

from harness import image

CPUS = [1, 2, 4, 8]


@pytest.mark.parametrize("cpus", CPUS)
def test_hello(boot_demo, cpus):
    run, demo = boot_demo("hello", cpus=cpus)
    run.ends(3, 3)
    for vm, name in enumerate(("north", "east", "south")):
        said = "\n".join(run.of_guest(name))
        assert f'"{name}"' in said, run.text
        assert "VMX hidden, SVM hidden" in said, run.text
        assert "it is 2026-01-01 00:00:0" in said, run.text
        assert "good-bye" in said, run.text
    run.has(r'south\| .*command line: "one of three"')


@pytest.mark.parametrize("cpus", [2, 4, 8])
def test_hello_uses_several_cores(boot_demo, cpus):
    run, _ = boot_demo("hello", cpus=cpus)
    cores = {match[1] for match in run.matches(r"\| I am VM \d+, .* on core (\d+)")}
    assert len(cores) >= 2, run.text


# Every exit that a 64-bit guest can cause on Bochs' default model, by its number.
TOUR_EXITS = [0, 1, 10, 13, 15, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 31, 32, 36, 39, 40,
              50, 52, 53, 54, 55, 57, 61]


@pytest.mark.parametrize("cpus", CPUS)
def test_tour(boot_demo, cpus):
    run, demo = boot_demo("tour", cpus=cpus)
    run.ends(demo.good, len(demo.guests))
    run.lacks("FAILURE")
    run.lacks("NOT AS EXPECTED")

    host = run.has(r"rules: (\d+) of (\d+) steps as the SDM says")
    assert host[1] == host[2] and int(host[1]) >= 20
    for refusal in ("CR4.VMXE clear .*: #UD", "A20 masked .*: #GP", "CR0.NE clear .*: #GP",
                    "wrong revision id .*: VMfailInvalid", "VMREAD without .*: VMfailInvalid",
                    "VMPTRST before", "VMPTRST after",
                    "VMLAUNCH of a VMCS that is launched .*error 4",
                    "VMRESUME of a VMCS that is clear .*error 5"):
        run.has(r"rules: \d+ .*" + refusal + ".* as it must be")

    guest = run.has(r"tour\| tour: (\d+) of (\d+) steps as expected, (\d+) skipped")
    assert int(guest[1]) + int(guest[3]) == int(guest[2])
    for number in TOUR_EXITS:
        if number > 1 or cpus > 1:
            run.has(rf"tour\.0: exit {number} ")
    run.has(r"tour-task\.0: stopped: TASK_SWITCH: exit 9 ")
    run.has(r"tour-triple\.0: stopped: TRIPLE_FAULT: exit 2 ")
    if cpus > 1:
        run.has(r"INIT sent to this core in VMX root operation .*: blocked, the core goes on")
        run.has(r"tour\.0: exit 3 INIT signal ")
        assert guest[3] == "0"


CRASH_ENDS = {
    "triple-fault": "TRIPLE_FAULT", "outside": "EPT_VIOLATION", "write-text": "EPT_VIOLATION",
    "run-data": "EPT_VIOLATION", "bad-calls": "BAD_HYPERCALL", "sleeper": "HALTED_FOREVER",
}


@pytest.mark.parametrize("cpus", CPUS)
def test_crash(boot_demo, cpus):
    run, demo = boot_demo("crash", cpus=cpus)
    run.ends(demo.good, len(demo.guests))
    run.has(r"witness\| witness: \d+ rounds, memory intact")
    run.lacks("FAILURE")
    for name, reason in CRASH_ENDS.items():
        run.has(rf"{name}\.0: stopped: {reason}: ")
    run.has(r"page-fault\| .*#PF page fault")
    run.has(r"page-fault\.0: stopped: GUEST_EXIT: status 142")
    run.has(r"outside\.0:   bytes at rip: [0-9a-f ]+$")
    run.has(r"outside\.0:   exit 48 EPT violation .* gpa=0x800000 read, not mapped")


@pytest.mark.parametrize("cpus", CPUS)
def test_ring(boot_demo, cpus):
    run, demo = boot_demo("ring", cpus=cpus)
    run.ends(16, 16)
    run.lacks("FAILURE")
    run.has(r"token0\| token: 16 guests, 50 rounds: shortest \d+ us, .* ns a hop")
    for number in range(1, 16):
        run.has(rf"token{number}\| token: number {number} handed it on 51 times")


@pytest.mark.parametrize("cpus", CPUS)
def test_fair(boot_demo, cpus):
    run, demo = boot_demo("fair", cpus=cpus)
    run.ends(4, 4)
    run.has(r"sleeper\| sleeper: 200 wake-ups")
    had = {name: float(run.has(rf"{name}\| hog: .* had ([\d.]+) % of a core")[1])
           for name in ("one", "two", "four")}
    if cpus == 1:  # the hogs want what the sleeper leaves
        assert had["one"] == pytest.approx(14, abs=2), run.text
        assert had["two"] == pytest.approx(28, abs=3), run.text
        assert had["four"] == pytest.approx(56, abs=4), run.text
    elif cpus >= 4:
        assert min(had.values()) > 95, run.text


@pytest.mark.parametrize("cpus", CPUS)
def test_smp(boot_demo, cpus):
    run, demo = boot_demo("smp", cpus=cpus)
    run.ends(1, 1)
    times = run.has(r"sorter\| sorter: \d+ numbers: (\d+) us with 1 vCPU, (\d+) us with 4")
    if cpus >= 4:
        assert int(times[1]) > 2 * int(times[2]), times.string


@pytest.mark.parametrize("cpus", CPUS)
def test_restart(boot_demo, cpus):
    run, demo = boot_demo("restart", cpus=cpus)
    run.ends(2, 2)
    run.lacks("FAILURE")
    for life in range(1, 5):
        run.has(rf"flaky\| flaky: life {life} ends after \d+ requests by ")
        run.has(rf"flaky: starts again in \d+ ms \(restart {life}\)")
    run.has(r"flaky\| flaky: life 5 ends well after \d+ requests")
    run.has(r"server\| server: \d+ requests served, 4 deaths seen, 0 broken messages")


@pytest.mark.parametrize("cpus", CPUS)
def test_unikernels(boot_demo, cpus):
    run, demo = boot_demo("unikernels", cpus=cpus)
    run.ends(len(demo.guests), len(demo.guests))
    run.has(r"hello\| I am an hvt guest with 2048 KiB")
    run.has(r"writer\| 64 blocks written, 64 read again")
    run.has(r"reader\| read \d+ times: all 64 blocks are as at first")
    run.has(r"responder\| 300 pings on 10\.0\.0\.2")
    for name in ("pinger1", "pinger2", "native"):
        run.has(rf"{name}\| 100 of 100 pings answered")


def test_monitor_demo_ends_when_nobody_types(boot_demo):
    run, demo = boot_demo("monitor")
    run.ends(len(demo.guests), len(demo.guests))
    assert run.of_guest("shell") == ["This is shell. Type help.", "shell> ",
                                     "Nobody typed. Good-bye."], run.text
    run.has(r"two\| hog: .* had (19\.9|20\.0|20\.1) % of a core")


def test_one_core_repeats_exactly(boot_demo):
    first, _ = boot_demo("hello", cpus=1)
    second, _ = boot_demo("hello", cpus=1)
    assert first.lines == second.lines


def test_tour_without_unrestricted_guest(boot_demo):
    run, demo = boot_demo("tour", model="corei5_lynnfield_750")
    run.ends(demo.good, len(demo.guests))
    run.lacks("NOT AS EXPECTED")


def test_hundred_guests(boot):
    run = boot([f"{image('hello')} g{number} mem=2M" for number in range(100)], cpus=4, mem=512)
    run.ends(100, 100)


def test_more_guests_than_cores(boot):
    run = boot([f"{image('hello')} g{number} mem=4M" for number in range(12)], cpus=2)
    run.ends(12, 12)
