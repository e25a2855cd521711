# SPDX-License-Identifier: MIT
"""Guests that attack the time of others: a hog beside each keeps its fair share, in work done."""

import pytest

from harness import image, own_image

KEPT = 0.9  # of the fair share, at least
HOG = f'{image("hog")} hog mem=1M cmdline="ms=200"'


def turns(run):
    return int(run.has(r"hog\| hog: (\d+) thousand turns")[1])


@pytest.fixture(scope="module")
def alone():
    """The turns of the hog that has a core for itself, once measured."""
    return []


@pytest.fixture
def beside(boot, alone):
    """Boots the hog beside one other guest on a core; returns the run and which part of what it
    does alone the hog did there."""

    def boot_beside(other, cpus=1, hog=HOG):
        if not alone:
            alone.append(turns(boot([HOG], cpus=1)))
        run = boot([hog, other], cpus=cpus)
        return run, turns(run) / alone[0]

    return boot_beside


def bad(how, keys="", ms=300):
    """The line of a guest that storms in one way for longer than the hog wants to run."""
    return f'{own_image("bad_neighbour")} bad mem=4M {keys} cmdline="how={how} ms={ms}"'


def keeps(run, had, due):
    if had < KEPT * due:
        run.fail(f"the hog had {100 * had:.1f} % of a core, and {100 * due:.1f} % are its due")


# how, vCPUs, how many of them want to run
STORMS = [
    ("yield", 2, 2),
    ("init", 64, 1),
    ("nmi-unstarted", 2, 1),
    ("nmi-asleep", 2, 2),
    ("nmi-busy", 2, 2),
]


@pytest.mark.parametrize("how, vcpus, active", STORMS)
def test_storm_on_the_same_core(beside, how, vcpus, active):
    run, had = beside(bad(how, f"vcpus={vcpus}"))
    run.ends(2, 2)
    run.has(r"bad\| bad_neighbour: \d+ times")
    keeps(run, had, 1 / (1 + active))


def test_init_storm_on_another_core(beside):
    """Some of those that get the INITs belong to the core of the hog."""
    run, had = beside(bad("init", "vcpus=64"), cpus=2, hog=HOG + " cpus=1")
    run.ends(2, 2)
    keeps(run, had, 1)


@pytest.mark.parametrize("how, vcpus", [("tick", 1), ("selfinit", 2)])
def test_asleep_for_good(beside, how, vcpus):
    """Neither a timer that interrupts nobody nor an INIT that leaves none to start it wakes it."""
    run, had = beside(bad(how, f"vcpus={vcpus}"))
    run.ends(1, 2)
    run.has(r" bad\.\d: stopped: HALTED_FOREVER: ")
    run.lacks("bad_neighbour: ")
    keeps(run, had, KEPT)  # nearly all: the other is gone soon


def test_asleep_for_good_again_and_again(beside):
    run, had = beside(bad("selfinit", "vcpus=2 restart=always,limit=20,backoff=0"))
    run.ends(1, 2)
    assert len(run.matches(r" bad\.\d: stopped: HALTED_FOREVER: ")) == 21, run.text
    run.has(r" bad: does not start again: 20 restarts are the limit")
    keeps(run, had, 1 / 2)


def test_restart_storm(beside):
    """What its many lives cost is charged to the guest that starts again."""
    run, had = beside(f'{image("crash")} brief mem=1M restart=always,limit=200,backoff=0 '
                      'cmdline="how=exit status=1"')
    run.ends(1, 2)
    run.has(r" brief: does not start again: 200 restarts are the limit")
    keeps(run, had, 1 / 2)


def test_smallest_cap_and_slice(boot):
    """A budget of a hundredth of a core, used up in the shortest slices, still leads to the end."""
    run = boot([f"{image('hello')} a mem=1M cap=1"], cpus=1, options="slice=10")
    run.ends(1, 1)
    run.has(r"a\| good-bye")
