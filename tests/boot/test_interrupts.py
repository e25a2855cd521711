# SPDX-License-Identifier: MIT
"""The guests' local APICs and first touches of RAM, on processors of every kind, with interrupts
delivered by the processor (APIC virtualisation) and by software."""

import pytest

from harness import image, own_image

# Bochs' models, and whether they have APIC virtualisation; the last has no unrestricted guest.
MODELS = {
    "corei7_skylake_x": True,
    "corei7_haswell_4770": True,
    "tigerlake": True,
    "corei7_ivy_bridge_3770k": False,
    "corei7_sandy_bridge_2600k": False,
    "corei5_lynnfield_750": False,
}


def all_checks(run, name, test, count):
    """The guest `name` made its `count` checks, and all were as expected."""
    run.lacks("FAILURE")
    run.has(rf"{name}\| {test}: {count} of {count} checks as expected")


@pytest.mark.parametrize("model, options", [(model, "") for model in MODELS] + [
    ("corei7_skylake_x", "apicv=off"), ("tigerlake", "apicv=off")])
def test_models(boot, model, options):
    run = boot([f"{own_image('apic_test')} apic", f"{own_image('lazy_test')} lazy"], model=model,
               options=options)
    all_checks(run, "apic", "apic_test", 86)
    all_checks(run, "lazy", "lazy_test", 14)
    run.ends(2, 2)
    by_processor = MODELS[model] and not options
    assert bool(run.matches("APIC write")) == by_processor, run.text


@pytest.mark.parametrize("cpus", [1, 4, 8])
def test_cores(boot, cpus):
    run = boot([f"{own_image('apic_test')} apic", f"{own_image('lazy_test')} lazy mem=4M",
                f"{own_image('lazy_test')} eager mem=4M,eager"], cpus=cpus)
    all_checks(run, "apic", "apic_test", 86)
    all_checks(run, "lazy", "lazy_test", 14)
    all_checks(run, "eager", "lazy_test", 14)
    run.ends(3, 3)


def violations(run, name):
    """The guest's EPT violations, of the summary."""
    first, = [number for number, line in enumerate(run.lines)
              if f" atoll: {name} " in line and " status " in line]
    for line in run.lines[first + 1:first + 4]:
        if "EPT violation " in line:
            return int(line.split("EPT violation ")[1].split(",")[0])
    return 0


def test_eager_memory_has_no_first_touches(boot):
    """The lazy one takes one EPT violation for each page of its 4 MiB that it touches."""
    run = boot([f"{own_image('lazy_test')} lazy mem=4M",
                f"{own_image('lazy_test')} eager mem=4M,eager"])
    run.ends(2, 2)
    assert violations(run, "eager") == 0 and violations(run, "lazy") > 900, run.text


@pytest.mark.parametrize("model", ["corei7_skylake_x", "corei5_lynnfield_750"])
def test_nmis_are_blocked_by_vcpu(boot, model):
    """Slices end in the middle of NMI handlers: another vCPU of the core gets its own NMIs."""
    run = boot([f"{own_image('apic_test')} {name}" for name in "abcd"], model=model,
               options="slice=200")
    for name in "abcd":
        all_checks(run, name, "apic_test", 86)
    run.ends(4, 4)


@pytest.mark.parametrize("options", ["", "apicv=off"])
def test_timer_wakes_the_only_guest(boot, options):
    """While it sleeps in HLT, nothing else keeps the machine going."""
    run = boot([f'{image("sleeper")} alone cmdline="n=50 gap=2000"'], cpus=1, options=options)
    run.ends(1, 1)
    late = run.has(r"alone\| sleeper: 50 wake-ups, .* \((\d+), (\d+), (\d+) us\)")
    assert int(late[2]) < 500, late.string
