# SPDX-License-Identifier: MIT
"""Bad keys of module lines: each refuses its own guest with one line that says why, and all others
run."""

import pytest

from harness import image

# name, keys, what the refusal says
BAD_LINES = [
    ("vcpus-65", "vcpus=65", "vcpus=65: .*1 to 64"),
    ("vcpus-0", "vcpus=0", "vcpus=0: .*1 to 64"),
    ("weight-0", "weight=0", "weight=0: .*1 to 1000"),
    ("weight-1001", "weight=1001", "weight=1001: .*1 to 1000"),
    ("cap-0", "cap=0", "cap=0: "),
    ("cap-101", "cap=101", "cap=101: .*at most 100"),
    ("cpus-9", "cpus=9", "cpus=9: this core is not there"),
    ("cpus-3-1", "cpus=3-1", "cpus=3-1: expected cores"),
    ("cpus-x", "cpus=x", "cpus=x: expected cores"),
    ("after-nobody", "after=nobody", "after=nobody: no guest has this name"),
    ("circle-1", "after=circle-1", "after=circle-1: this is the guest itself"),
    ("circle-2a", "after=circle-2b", r".*\(circle-2a after circle-2b after circle-2a\)"),
    ("circle-2b", "after=circle-2a", r".*\(circle-2b after circle-2a after circle-2b\)"),
    ("circle-3a", "after=circle-3b", r".*\(circle-3a after circle-3b after circle-3c after"),
    ("circle-3b", "after=circle-3c", r".*\(circle-3b after circle-3c after circle-3a after"),
    ("circle-3c", "after=circle-3a", r".*\(circle-3c after circle-3a after circle-3b after"),
    ("order-x", "boot_order=x", "boot_order=x: .*-1000 to 1000"),
    ("copies-0", "copies=0", "copies=0: .*1 to 4096"),
    ("copies-bad", "copies=9 weight=x", "weight=x: .*1 to 1000"),
    ("restart-what", "restart=sometimes", "restart=sometimes: .*never, on-failure or always"),
    ("restart-limit", "restart=always,limit=x", "restart=always,limit=x: .*limit=N"),
    ("link-0", "link=a:0", "link=a:0: .*1 to 256"),
    ("link-257", "link=a:257", "link=a:257: .*1 to 256"),
    ("link-rw", "link=a,rw", "link=a,rw: expected NAME"),
    ("link-twice", "link=a link=a", "link=a: the link a stands there twice"),
    ("link-other", "link=a:8", "link=a:8: another guest made this link with 4 pages"),
    ("control-yes", "control=yes", "control=yes: expected control alone"),
    ("mem-lazy", "mem=8M,lazy", "mem=8M,lazy: expected"),
    ("mem-all", "mem=512M vcpus=64", "mem=524288K: not enough memory"),
]


@pytest.mark.parametrize("cpus", [1, 2])
def test_bad_lines(boot, cpus):
    good = [f"{image('hello')} first", f"{image('hello')} linked link=a:4",
            f"{image('hello')} behind after=circle-2a"]
    bad = [f"{image('hello')} {name} {keys}" for name, keys, _ in BAD_LINES]
    last = [f"{image('hello')} last vcpus=64 mem=2M weight=1000 cap=6400 cpus=0"]
    run = boot(good + bad + last, cpus=cpus)
    run.ends(4, 4 + len(BAD_LINES))
    run.has(rf"4 of {4 + len(BAD_LINES)} guests created")
    for name in ("first", "linked", "behind", "last"):
        run.has(rf"{name}\| good-bye")
    for name, _, words in BAD_LINES:
        run.has(rf" {name}: refused: {words}")
        if len(run.matches(rf" {name}: ")) != 1:
            run.fail(f"{name} is not refused by one line")


def test_copies(boot):
    """One of them finds its name taken, and so does who comes behind them."""
    run = boot([f"{image('hello')} h3", f"{image('hello')} h copies=12 mem=1M",
                f"{image('hello')} h7", f'{image("hello")} last after=h11'], cpus=2)
    run.ends(13, 15)
    run.has(r"13 of 15 guests created")
    for number in range(12):
        run.has(rf'h{number}\| I am VM \d+, "h{number}"')
    assert len(run.matches(" refused: another guest has the name ")) == 2
    assert [match[1] for match in run.matches(r" (\w+): created: ")] == [
        "h3", *(f"h{number}" for number in range(12) if number != 3), "last"]


def test_order_of_the_start(boot):
    run = boot([f"{image('hello')} d boot_order=1000", f"{image('hello')} c after=a",
                f"{image('hello')} a boot_order=5", f"{image('hello')} b boot_order=-1000 after=c"])
    run.ends(4, 4)
    assert [match[1] for match in run.matches(r" ([a-d]): created: ")] == ["a", "c", "b", "d"]
