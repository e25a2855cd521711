# SPDX-License-Identifier: MIT
"""The boot tests' machine: `boot(guests=[...], cpus=2, ...)` boots these guests and returns what
the serial console said. It is the machine of `./atoll run`: what passes here, users see."""

import pytest

from harness import BUILD, Run  # first: it says where the next ones are

import demos
import machine
import make_iso


@pytest.fixture
def boot(tmp_path):
    """Boots guests, each "path/to/image name key=value ...", and returns a Run."""

    def boot_guests(guests, cpus=2, mem=256, model="", options="", timeout=120, on="bochs",
                    uefi=False):
        iso = tmp_path / "atoll.iso"
        entry = make_iso.Entry("test", make_iso.ends_by_itself(options), guests)
        make_iso.make_iso(iso, BUILD / "atoll.elf", [entry])
        spec = machine.Spec(iso=iso, machine=on, cpus=cpus, mem=mem, cpu_model=model, uefi=uefi,
                            timeout=timeout)
        try:
            if problem := machine.wrong(spec) or machine.missing(spec):
                pytest.fail(problem, pytrace=False)
            return Run(machine.boot(spec, scratch=tmp_path))
        finally:
            iso.unlink()

    return boot_guests


@pytest.fixture
def boot_demo(boot):
    """Boots a demo by its name, with other arguments than its own where they are given."""

    def boot_named(name, **arguments):
        demo = demos.named(name)
        settings = {"cpus": demo.cpus, "mem": demo.mem, "options": demo.options, **arguments}
        return boot(demo.guest_lines(BUILD), **settings), demo

    return boot_named
