# SPDX-License-Identifier: MIT
"""The boot tests' machine: `boot(guests=[...], cpus=2, ...)` boots these guests and returns what
the serial console said; `console(guests=[...], ...)` lets the test type at it. It is the machine of
`./atoll run`: what passes here, users see."""

import pytest

from harness import BUILD, Run  # first: it says where the next ones are
from console import Console

import demos
import machine
import make_iso


def prepare(iso, guests, cpus=2, mem=256, model="", options="", timeout=300, on="bochs", uefi=False,
            trace=None):
    """Writes the image `iso` that boots these guests; returns the machine for it."""
    entry = make_iso.Entry("test", make_iso.ends_by_itself(options), guests)
    make_iso.make_iso(iso, BUILD / "atoll.elf", [entry])
    spec = machine.Spec(iso=iso, machine=on, cpus=cpus, mem=mem, cpu_model=model, uefi=uefi,
                        timeout=timeout, trace=trace)
    if problem := machine.wrong(spec) or machine.missing(spec):
        pytest.fail(problem, pytrace=False)
    return spec


@pytest.fixture
def boot(tmp_path):
    """Boots guests, each "path/to/image name key=value ...", and returns a Run."""

    def boot_guests(guests, **settings):
        iso = tmp_path / "atoll.iso"
        try:
            return Run(machine.boot(prepare(iso, guests, **settings), scratch=tmp_path))
        finally:
            iso.unlink(missing_ok=True)

    return boot_guests


@pytest.fixture
def console(tmp_path):
    """Boots guests like `boot`, but returns at once: a Console, which ends with the test."""
    consoles = []

    def open_console(guests, timeout=300, **settings):
        iso = tmp_path / f"console{len(consoles)}.iso"
        spec = prepare(iso, guests, timeout=timeout, **settings)
        consoles.append(Console(spec, tmp_path))
        return consoles[-1]

    yield open_console
    for opened in consoles:
        opened.close()
    for iso in tmp_path.glob("console*.iso"):
        iso.unlink()


@pytest.fixture
def boot_demo(boot):
    """Boots a demo by its name, with other arguments than its own where they are given."""

    def boot_named(name, **arguments):
        demo = demos.named(name)
        settings = {"cpus": demo.cpus, "mem": demo.mem, "options": demo.options, **arguments}
        return boot(demo.guest_lines(BUILD), **settings), demo

    return boot_named
