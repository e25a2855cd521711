# SPDX-License-Identifier: MIT
"""Guests with several vCPUs: started by INIT and SIPI or by a call, with more and with fewer of
them than cores, on processors of every kind."""

import pytest

from harness import image, own_image

MODELS = ["corei7_haswell_4770", "tigerlake", "corei7_ivy_bridge_3770k",
          "corei7_sandy_bridge_2600k", "corei5_lynnfield_750"]


def boot_both_ways(boot, **machine):
    """The vCPUs of `sipi` start by INIT and SIPI, where the processor can run their real mode."""
    run = boot([f"{own_image('smp_test')} sipi vcpus=4 cmdline=ms=20",
                f'{own_image("smp_test")} call vcpus=3 cmdline="ms=20 start=call"'], **machine)
    run.lacks("FAILURE")
    for name in ("sipi", "call"):
        run.has(rf"{name}\| smp_test: 20 of 20 checks as expected")
    run.ends(2, 2)


@pytest.mark.parametrize("cpus", [1, 2, 4, 8])
def test_cores(boot, cpus):
    boot_both_ways(boot, cpus=cpus)


@pytest.mark.parametrize("model", MODELS)
def test_models(boot, model):
    boot_both_ways(boot, cpus=2, model=model)


def test_without_apic_virtualisation(boot):
    boot_both_ways(boot, cpus=4, options="apicv=off")


def test_more_than_one_cluster(boot):
    """Logical destinations name 16 vCPUs at most (SDM Vol. 3A 10.12.10.2)."""
    run = boot([f'{own_image("smp_test")} wide vcpus=17 cmdline="ms=2 increments=50"'], cpus=4)
    run.lacks("FAILURE")
    run.has(r"wide\| smp_test: 20 of 20 checks as expected")
    run.ends(1, 1)


def test_most_vcpus(boot):
    run = boot([f"{image('sorter')} sorter vcpus=64 mem=16M cmdline=n=16384"], cpus=4)
    run.has(r"sorter\| sorter: 16384 numbers: .* with 64")
    run.ends(1, 1)


def test_vcpus_run_at_once(boot):
    """Four vCPUs on four cores sort clearly faster than one."""
    run = boot([f"{image('sorter')} sorter vcpus=4 cmdline=n=32768"], cpus=4)
    run.ends(1, 1)
    times = run.has(r"sorter\| sorter: 32768 numbers: (\d+) us with 1 vCPU, (\d+) us with 4")
    assert int(times[1]) > 2 * int(times[2]), times.string
