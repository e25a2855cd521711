# SPDX-License-Identifier: MIT
"""Links: what peers see of each other and of the shared pages, and that a peer's death, return or
bad store is nobody else's."""

import pytest

from harness import image, own_image

LINK_TEST = own_image("link_test")
DONE = r"link_test: (\d+) of \1 checks as expected"


@pytest.mark.parametrize("cpus", [1, 4])
def test_peers_see_each_other(boot, cpus):
    run = boot([f"{LINK_TEST} a link=one:4 link=two", f"{LINK_TEST} b link=two link=one",
                f"{image('hello')} alone"], cpus=cpus)
    run.ends(3, 3)
    run.lacks("FAILURE")
    for name in "ab":
        run.has(rf"{name}\| {DONE}")
        for peer, peer_name in enumerate("ab"):
            for link in ("one", "two"):
                run.has(rf"{name}\| link {link}: peer {peer} is {peer_name}, VM {peer}, "
                        r"generation 1, alive 1, writable 1")
    run.has(r"a\| link one: peer 0 of 2, 4 pages at 0x0*c0000000, writable 1")
    run.has(r"a\| link two: peer 0 of 2, 1 pages at 0x0*c0100000, writable 1")
    run.has(r"b\| link two: peer 1 of 2, 1 pages at 0x0*c0000000, writable 1")
    run.has(r"b\| link one: peer 1 of 2, 4 pages at 0x0*c0100000, writable 1")


def test_largest_link(boot):
    run = boot([f"{LINK_TEST} {name} link=large:256" for name in "ab"])
    run.ends(2, 2)
    run.has(rf"b\| {DONE}")
    run.has(r"b\| link large: peer 1 of 2, 256 pages")


@pytest.mark.parametrize("model", ["", "corei5_lynnfield_750"])
def test_read_only_peer_that_writes(boot, model):
    run = boot([f"{LINK_TEST} writer link=a cmdline=peers=3",
                f"{LINK_TEST} reader link=a,ro cmdline=peers=3",
                f'{LINK_TEST} bad link=a,ro cmdline="peers=3 do=write"'], model=model)
    run.ends(2, 3)
    run.lacks("still alive")
    run.has(r"reader\| link a: peer 1 of 3, 1 pages at .*, writable 0")
    run.has(r"writer\| link a: peer 2 is bad, VM 2, generation 1, alive 1, writable 0")
    run.has(r"bad\.0: stopped: EPT_VIOLATION: gpa=0xc0000008 write")
    for name in ("writer", "reader"):
        run.has(rf"{name}\| {DONE}")


@pytest.mark.parametrize("cpus", [1, 2])
def test_death_and_return(boot, cpus):
    """The watcher sleeps in HLT without a timer: only its link wakes it."""
    run = boot([f'{LINK_TEST} watcher link=a cmdline="do=watch lives=3"',
                f'{image("crash")} mortal link=a restart=on-failure,limit=2,backoff=20 '
                'cmdline="how=triple"'], cpus=cpus)
    run.ends(1, 2)
    run.lacks("FAILURE")
    run.has(rf"watcher\| {DONE}")
    for generation in (1, 2, 3):
        run.has(rf"watcher\| peer 1 is dead, generation {generation}")


def test_two_sizes(boot):
    run = boot([f"{image('hello')} a link=x:4", f"{image('hello')} b link=x:8",
                f"{image('hello')} c link=x:4"])
    run.ends(2, 3)
    run.has(r" b: refused: link=x:8: another guest made this link with 4 pages")


def test_most_peers(boot):
    run = boot([f"{image('hello')} g{number} mem=1M link=x" for number in range(66)], cpus=4,
               mem=512)
    run.ends(64, 66)
    for name in ("g64", "g65"):
        run.has(rf" {name}: refused: link=x: 64 guests are on it, which is the limit")
