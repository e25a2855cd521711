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


@pytest.mark.parametrize("cpus", CPUS)
def test_tour(boot_demo, cpus):
    run, demo = boot_demo("tour", cpus=cpus)
    run.ends(demo.good, len(demo.guests))
    run.has(r"tour\| tour: (\d+) of (\d+) steps as expected")
    run.lacks("FAILURE")
    run.has(r"exit 9 ")   # a task switch ends tour-task
    run.has(r"exit 2 ")   # a triple fault ends tour-triple


@pytest.mark.parametrize("cpus", CPUS)
def test_crash(boot_demo, cpus):
    run, demo = boot_demo("crash", cpus=cpus)
    run.ends(demo.good, len(demo.guests))
    run.has(r"witness\| witness: \d+ rounds, memory intact")
    run.lacks("FAILURE")


def test_one_core_repeats_exactly(boot_demo):
    first, _ = boot_demo("hello", cpus=1)
    second, _ = boot_demo("hello", cpus=1)
    assert first.lines == second.lines


def test_more_guests_than_cores(boot):
    run = boot([f"{image('hello')} g{number} mem=4M" for number in range(12)], cpus=2)
    run.ends(12, 12)
