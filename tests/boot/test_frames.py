# SPDX-License-Identifier: MIT
"""The audit of who owns each frame (selftest=hostile), with what the suite of hostile guests does
not have: disks that are written, Solo5 guests, large leaves, links, many restarts, moves, and a
processor whose guests share the identity map."""

import pytest

from harness import image, own_image
from test_hvt import MEMORY

LINK_TEST = own_image("link_test")


@pytest.mark.parametrize("model", ["", "corei5_lynnfield_750"])
def test_everybody_has_what_is_his(boot, model):
    run = boot([
        f"{image('hello')} eager mem=12M,eager",
        f"{image('hello')} small mem=1M",
        f'{LINK_TEST} a link=one:3 link=two cmdline="peers=2"',
        f'{LINK_TEST} b link=two,ro link=one,ro cmdline="peers=2"',
        f"{own_image('hvt/blk')} disk mem={MEMORY >> 10}K block:storage=ram:64K",
        f"{image('crash')} crash vcpus=3 restart=on-failure,limit=5,backoff=0 "
        'cmdline="how=triple"',
        f"{image('hog')} hog vcpus=2 cmdline=ms=300",
    ], cpus=2, model=model, options="selftest=hostile shuffle")
    run.lacks("VIOLATION")
    summary = run.has(r"frames: (\d+) audits, 0 violations; \d+ free, \d+ the hypervisor's, 0 held "
                      r"for guests, 0 of guests, (\d+) shared$")
    assert int(summary[1]) >= 4
    assert int(summary[2]) == 4 + (model != "")
