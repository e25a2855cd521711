# SPDX-License-Identifier: MIT
"""The log and the panic: nothing waits for the line, nothing is lost in silence, a bug of the
hypervisor is reported in full."""

import re

import pytest

from harness import image

FLOOD_LINES = 6000  # as in guests/crash


def test_flood_is_counted(boot):
    run = boot([f'{image("crash")} loud cmdline="how=flood"', f"{image('hello')} quiet"],
               options="conrate=0")
    run.ends(2, 2)
    lost = sum(int(match[1]) for match in run.matches(r"cpu\d+ atoll: log: (\d+) lines lost"))
    kept = len([line for line in run.of_guest("loud") if line.startswith("flood ")])
    assert lost > 0, "the flood was too small to test anything"
    assert kept + lost >= FLOOD_LINES
    run.has(r"loud\.0: stopped: GUEST_EXIT: status 0")  # the hypervisor's own lines are kept
    run.has(r"quiet\.0: stopped: GUEST_EXIT: status 0")


def test_guest_cannot_forge_a_line(boot):
    run = boot([f'{image("crash")} liar cmdline="how=forge"'])
    run.ends(1, 1)
    assert run.status == 0
    said = [line for line in run.lines if "forged" in line]
    assert len(said) == 3
    assert all(re.match(r"\[ *\d+\.\d{6}\] liar\| ", line) for line in said)
    run.has(r"liar\| \\x0d\[    0\.000001\]")
    run.has(r"liar\| \\x1b\[1A\\x1b\[2K\[    0\.000001\]")


@pytest.mark.parametrize("how, words", [
    ("panic", r"panic: selftest=panic"),
    ("exception", r"panic: #PF page fault in the hypervisor, error code 0x3"),
    ("stack", r"panic: #DF double fault in the hypervisor"),
])
def test_panic(boot, how, words):
    run = boot([f"{image('hello')} guest"], options=f"selftest={how}", cpus=4)
    assert run.status == 3
    run.has(r"cpu0 atoll: " + words)
    run.has(r"panic: backtrace")
    run.has(r"panic:   0xffffffff80[0-9a-f]{6}$")
    if how != "panic":
        run.has(r"panic: rip=0x[0-9a-f]{16} rsp=")
    run.lacks(r"guest\| ")


def test_absent_serial_port(boot):
    run = boot([f"{image('hello')} guest"], options="com=com4")
    assert not run.lines
    assert run.status == 3 and run.elapsed < 60  # it ended by itself, without a word


@pytest.mark.parametrize("options, words", [
    ("colour=blue", r"atoll: option colour=blue: .*unknown"),
    ("log=everything", r"atoll: option log=everything"),
    ("log=exits:CPUIDS", r"atoll: .*CPUIDS"),
    ("cpus=many", r"atoll: option cpus=many"),
    ("onidle=dance", r"atoll: option onidle=dance"),
])
def test_bad_option_is_named(boot, options, words):
    run = boot([f"{image('hello')} guest"], options=options)
    run.has(words)
    run.ends(1, 1)


def test_exit_log(boot):
    run = boot([f"{image('hello')} guest"], options="log=exits")
    run.ends(1, 1)
    run.has(r"guest\.0: exit 10 CPUID rip=0x[0-9a-f]+ leaf=0x40000000 subleaf=0x0 "
            r"-> resume \(\d+ ticks\)")
    run.has(r"guest\.0: exit 18 VMCALL rip=0x[0-9a-f]+ ")


def test_exit_log_of_some_reasons(boot):
    run = boot([f"{image('hello')} guest"], options="log=exits:RDMSR,cr-access")
    run.ends(1, 1)
    run.has(r"guest\.0: exit 31 RDMSR ")
    run.has(r"guest\.0: exit 28 CR access ")
    run.lacks(r": exit 10 ")


def test_option_cpus(boot):
    run = boot([f"{image('hello')} a", f"{image('hello')} b"], options="cpus=1", cpus=4)
    run.ends(2, 2)
    run.has(r"1 of 4 cores are up")
