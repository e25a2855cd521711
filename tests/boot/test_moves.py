# SPDX-License-Identifier: MIT
"""vCPUs that move between cores, share one, or may not leave theirs: the option `shuffle` moves
each of them at the end of every slice; cap= and cpus= limit how much they get, and where."""

import pytest

from harness import image, own_image

WITNESSES = ["one", "two", "three"]


@pytest.mark.parametrize("model, options", [
    ("", "slice=100"), ("", "slice=1000 apicv=off"), ("tigerlake", "slice=300"),
    ("corei7_ivy_bridge_3770k", "slice=300"), ("corei5_lynnfield_750", "slice=300")])
def test_shuffle(boot, model, options):
    """General, SSE, AVX and debug registers, MSRs, memory, APICs and TSCs survive the moves; only
    one guest takes NMIs, and vCPUs of several wait for cores all the time."""
    run = boot([f"{image('witness')} {name} cmdline=ms=100" for name in WITNESSES] + [
        f"{own_image('smp_test')} smp vcpus=4 cmdline=ms=30",
        f"{own_image('apic_test')} apic",
        f"{image('sorter')} sorter vcpus=4 cmdline=n=4096"], cpus=4, model=model,
        options=f"shuffle {options}")
    run.lacks("FAILURE")
    for name in WITNESSES:
        run.has(rf"{name}\| witness: \d+ rounds, memory intact")
    run.has(r"smp\| ok: the TSC never runs backwards between vCPUs")
    run.has(r"smp\| smp_test: 20 of 20 checks as expected")
    run.has(r"apic\| apic_test: 86 of 86 checks as expected")
    run.has(r"sorter\| sorter: 4096 numbers: ")
    run.ends(6, 6)


def cores_of(run, vcpu):
    """The cores on which the exits of `vcpu` happened (log=exits)."""
    return {int(match[1]) for match in run.matches(rf"cpu(\d+) {vcpu}: exit ")}


def test_shuffle_reaches_all_cores(boot):
    run = boot([f"{image('hog')} hog cmdline=ms=20"], cpus=4,
               options="shuffle slice=200 log=exits:PREEMPTION-TIMER")
    run.ends(1, 1)
    assert cores_of(run, r"hog\.0") == {0, 1, 2, 3}


@pytest.mark.parametrize("options", ["", "shuffle "])
def test_pins(boot, options):
    run = boot([f"{image('hello')} second cpus=1", f"{image('hello')} others cpus=0,2-3",
                f"{image('sorter')} pair vcpus=3 cpus=1-2 cmdline=n=2048"], cpus=4,
               options=options + "log=exits:CPUID,PREEMPTION-TIMER,HLT")
    run.ends(3, 3)
    run.has(r"second\| I am VM 0, .* on core 1$")
    assert cores_of(run, r"second\.0") == {1}
    assert cores_of(run, r"others\.0") <= {0, 2, 3}
    assert cores_of(run, r"pair\.\d") == {1, 2}


def had(run, name):
    """The per cent of a core that a hog says it had."""
    return float(run.has(rf"{name}\| hog: .*, had ([\d.]+) % of a core")[1])


@pytest.mark.parametrize("options", ["", "slice=5000"])
def test_cap(boot, options):
    run = boot([f"{image('hog')} hog cap=20 cmdline=ms=1000"], cpus=1, options=options)
    run.ends(1, 1)
    assert 18 <= had(run, "hog") <= 22


def test_cap_beside_others(boot):
    """What the capped one leaves is the other's."""
    run = boot([f"{image('hog')} capped cap=20 cmdline=ms=500",
                f"{image('hog')} free cmdline=ms=500"], cpus=1)
    run.ends(2, 2)
    assert 18 <= had(run, "capped") <= 22 and had(run, "free") >= 75


def test_weights(boot):
    run = boot([f"{image('hog')} light weight=100 cmdline=ms=400",
                f"{image('hog')} heavy weight=300 cmdline=ms=400"], cpus=1)
    run.ends(2, 2)
    assert 22 <= had(run, "light") <= 30 and 70 <= had(run, "heavy") <= 78


def test_moves_use_all_cores(boot):
    """All begin on the cores that they are given; who finds an idle core goes there."""
    run = boot([f"{image('hog')} h{number} cmdline=ms=300" for number in range(3)], cpus=4)
    run.ends(3, 3)
    assert all(had(run, f"h{number}") >= 95 for number in range(3))


@pytest.mark.parametrize("how", ["loop", "exits", "ipi", "sleep", "yield", "timer"])
def test_bad_neighbour(boot, how):
    """Two vCPUs of a storming guest share a core with a hog: it keeps most of its third."""
    run = boot([f'{own_image("bad_neighbour")} bad vcpus=2 cmdline="how={how} ms=300"',
                f"{image('hog')} hog cmdline=ms=200"], cpus=1)
    run.ends(2, 2)
    assert had(run, "hog") >= 0.7 * 33.3
