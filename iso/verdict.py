# SPDX-License-Identifier: MIT
"""Reads how a run ended from the hypervisor's own lines on the serial console.

A guest cannot forge them: whatever it writes stands behind "[    1.234567] NAME| ".
"""

import re

GOOD = 0             # every guest ended with status 0
GUEST_FAILED = 1     # a guest did not
WRONG_USAGE = 2
HYPERVISOR_FAILED = 3  # the hypervisor refused the machine, panicked, or ended without a verdict
TIMEOUT = 124
INTERRUPTED = 130

STAMP = r"\[ *\d+\.\d{6}\] cpu\d+ "
ENDED = re.compile(STAMP + r"atoll: all guests ended: (\d+) of (\d+) with status 0\b")
# boot.asm refuses before there is a clock: its line has no stamp.
FAILED = re.compile(rf"(?:{STAMP})?atoll: (refused|panic): ")


class Verdict:
    """Fed line by line; `status` is None until the hypervisor has said how it ended."""

    def __init__(self):
        self.status = None
        self.panicked = False
        self.ended = None  # (guests that ended with status 0, guests)

    def feed(self, line):
        if match := FAILED.match(line):
            self.status = HYPERVISOR_FAILED
            self.panicked = self.panicked or match[1] == "panic"
        elif self.status is None and (match := ENDED.match(line)):
            good, total = self.ended = int(match[1]), int(match[2])
            self.status = GOOD if total > 0 and good == total else GUEST_FAILED
