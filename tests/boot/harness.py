# SPDX-License-Identifier: MIT
"""What the boot tests share: where things were built, and a finished run with what it said."""

import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ATOLL_BUILD", ROOT / "build")).resolve()
sys.path.insert(0, str(ROOT / "iso"))  # the modules of the emulators, for all tests


class Run:
    """A finished run. Whatever is not as expected fails with the whole serial console."""

    def __init__(self, result):
        self.status = result.status
        self.ended = result.ended
        self.lines = result.lines
        self.text = result.text
        self.elapsed = result.elapsed
        self.complaint = result.complaint

    def fail(self, message):
        pytest.fail(f"{message}\n{self.complaint}\n--- serial console, status {self.status}, "
                    f"{self.elapsed:.1f} s\n{self.text}---", pytrace=False)

    def ends(self, good, total):
        """`good` of `total` guests ended with status 0, and the machine without a complaint."""
        if self.complaint or self.ended != (good, total):
            self.fail(f"{self.ended} guests ended well, expected {(good, total)}")

    def refuses(self, pattern):
        """The hypervisor refused the machine, in these words."""
        if self.complaint or self.status != 3:
            self.fail(f"status {self.status}, expected a refusal")
        self.has(r"atoll: refused: .*" + pattern)

    def matches(self, pattern):
        """All matches of `pattern` (a regular expression) with a line, one each."""
        return [match for line in self.lines if (match := re.search(pattern, line))]

    def has(self, pattern):
        """The first match of `pattern` with a line; there must be one."""
        found = self.matches(pattern)
        if not found:
            self.fail(f"no line matches {pattern!r}")
        return found[0]

    def lacks(self, pattern):
        if found := self.matches(pattern):
            self.fail(f"a line matches {pattern!r}: {found[0].string}")

    def of_guest(self, name):
        """What the guest `name` wrote on its console."""
        return [line.split("| ", 1)[1] for line in self.lines
                if re.match(rf"\[ *\d+\.\d{{6}}\] {re.escape(name)}\| ", line)]


def own_image(name):
    """The path of a guest that only the tests have."""
    return str(BUILD / "tests" / "guests" / f"{name}.elf")


def image(name):
    """The path of a built guest, ready to stand first in a guest's line."""
    return str(BUILD / "guests" / f"{name}.elf")
