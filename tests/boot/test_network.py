# SPDX-License-Identifier: MIT
"""Native guests' devices: disks by calls, and Ethernet switches with guests of both kinds on them,
where each frame arrives or is counted as dropped."""

import re

import pytest

from harness import image, own_image

ANSWERED = r"(\d+) of (\d+) pings answered"
HALTED = r" {}\.0: stopped: HALTED_FOREVER: "


def echo(name="echo", net="lan", cmdline="", keys="", kind="echo"):
    return f'{image(kind)} {name} mem=2M net:service0={net} {keys} cmdline="{cmdline}"'


def pinger(name="pinger", net="lan", cmdline="", keys="", kind="pinger", ip="10.0.0.1",
           peer="10.0.0.2"):
    return (f'{image(kind)} {name} mem=2M net:net={net} {keys} '
            f'cmdline="ip={ip} peer={peer} {cmdline}"')


def sniffer(cmdline, name="sniffer"):
    return f'{own_image("sniffer")} {name} mem=2M net:net=lan cmdline="{cmdline}"'


def stray(cmdline, keys=""):
    return f'{own_image("stray")} stray mem=2M net:net=lan {keys} cmdline="{cmdline}"'


def port(run, guest):
    """Frames that a guest's port received, dropped, sent and dropped, by the summary."""
    return [int(n) for n in run.has(rf" {guest} +\S+ +lan +(\d+) +(\d+) +(\d+) +(\d+)$").groups()]


def all_answered(run, count, name="pinger"):
    assert run.has(rf" {name}\| {ANSWERED}").groups() == (str(count),) * 2, run.text


def lost_and_explained(run):
    """Pings that were lost; each is explained."""
    lost, explained = map(int, run.has(r"pinger\| (\d+) lost, (\d+) explained").groups())
    answered, sent = map(int, run.has(rf"pinger\| {ANSWERED}").groups())
    assert lost == explained == sent - answered, run.text
    return lost


# ---- Calls ---------------------------------------------------------------------------------------

def test_calls(boot, tmp_path):
    rom = tmp_path / "rom.img"
    rom.write_bytes(b"x" * 8192)
    run = boot([f"{own_image('device_test')} t block:disk=ram:256K block:rom=image,ro,sectors=4096 "
                "net:net=lan", f"{rom} image"])
    run.has(r"t\| device_test: (\d+) of \1 checks as expected")
    run.ends(1, 1)


# ---- Pings ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("cpus", [1, 2])
def test_ping(boot, cpus):
    run = boot([echo(cmdline="n=500"), pinger(cmdline="n=500 window=8")], cpus=cpus)
    run.ends(2, 2)
    run.has(r"echo\| 500 pings on 10\.0\.0\.2")
    all_answered(run, 500)
    received, *rest = port(run, "pinger")
    assert received in (502, 503) and rest == [0, 502, 0]  # and ARP, the counters, an announcement
    received, *rest = port(run, "echo")
    assert received == 502 and rest[:2] == [0, 503]


def test_flood(boot):
    """On one core, which takes half of the time: else each frame interrupts somebody."""
    count = 100_000
    run = boot([echo(cmdline=f"n={count}"), pinger(cmdline=f"n={count} window=64 size=18")],
               cpus=1, timeout=900)
    run.ends(2, 2)
    all_answered(run, count)


@pytest.mark.parametrize("kind", ["pinger", "hvt/pinger"])
def test_mtu_9000(boot, kind):
    lan = "lan,mtu=9000"
    run = boot([echo(net=lan, cmdline="n=100"),
                pinger(net=lan, cmdline="n=100 size=8000 window=4", kind=kind)])
    run.ends(2, 2)
    all_answered(run, 100)


def test_both_kinds_under_load(boot):
    """Two hvt guests and three native ones, more than the cores, and some that want all of them."""
    run = boot([echo("hvt-echo", cmdline="n=400", kind="hvt/responder"),
                echo("echo", cmdline="ip=10.0.0.3 n=400"),
                pinger("one", cmdline="n=200 window=4", ip="10.0.0.4", kind="hvt/pinger"),
                pinger("two", cmdline="n=200 window=4", ip="10.0.0.5"),
                pinger("three", cmdline="n=200 window=4", ip="10.0.0.6", peer="10.0.0.3",
                       kind="hvt/pinger"),
                pinger("four", cmdline="n=200 window=4", ip="10.0.0.7", peer="10.0.0.3"),
                *(f'{image("hog")} hog{i} mem=1M cmdline="ms=300"' for i in range(3))])
    run.ends(9, 9)
    for name in ("one", "two", "three", "four"):
        all_answered(run, 200, name)


# ---- Frames that do not arrive -------------------------------------------------------------------

def test_slow_receiver_drops(boot):
    """The queue of a guest that gets little of its core is full again and again."""
    run = boot([echo(keys="cap=5", cmdline="n=1000000"),
                pinger(cmdline="n=1000 window=128 size=1400")])
    run.ends(1, 2)
    assert lost_and_explained(run) > 0
    assert port(run, "echo")[1] > 0


def test_too_long_for_receiver(boot):
    run = boot([echo(cmdline="n=1000000"), pinger(net="lan,mtu=9000", cmdline="n=20 size=4000")])
    run.ends(1, 2)
    assert lost_and_explained(run) == 20
    assert port(run, "echo")[1] == 20


def test_full_queue(boot):
    """64 KiB hold 43 frames of 1514 bytes, each with its length in 4 more, aligned to 8."""
    run = boot([sniffer("delay=60 ms=20"), stray("delay=20 n=100")])
    run.ends(2, 2)
    run.has(r"sniffer\| sniffer: 0 frames to all, 43 to others")
    assert port(run, "sniffer")[:2] == [43, 57]
    assert port(run, "stray")[2:] == [100, 0]


def test_sniffer(boot):
    """It sees requests by ARP, announcements, and ten frames whose address nobody had shown yet."""
    run = boot([sniffer("ms=200"), echo(cmdline="n=200"), pinger(cmdline="n=200 window=4 delay=20"),
                stray("delay=60 n=10", keys="net:other=lan")])
    run.ends(4, 4)
    all_answered(run, 200)
    run.has(r"sniffer\| sniffer: [3-9] frames to all, 10 to others")
    run.has(r"stray\| stray: 10 frames came where the address was learned")


def test_peer_stops_and_starts_again(boot):
    run = boot([echo(keys="restart=always,limit=3,backoff=30", cmdline="n=100"),
                pinger(cmdline="n=350")])
    run.ends(1, 2)
    assert len(run.matches(r"echo\| 100 pings on 10\.0\.0\.2")) == 3
    assert 3 <= lost_and_explained(run) <= 40  # one in 20 ms


# ---- Who sleeps for ever -------------------------------------------------------------------------

def test_nobody_else(boot):
    run = boot([echo(), echo("other", net="elsewhere")])
    run.ends(0, 2)
    for name in ("echo", "other"):
        run.has(HALTED.format(name))


def test_sleeps_while_a_frame_can_come(boot):
    run = boot([echo(), pinger(cmdline="n=10 delay=100")])
    run.ends(1, 2)
    all_answered(run, 10)
    ends = [i for i, line in enumerate(run.lines) if re.search(r"\.0: stopped: ", line)]
    assert "pinger.0: stopped: GUEST_EXIT" in run.lines[ends[0]], run.text
    assert re.search(HALTED.format("echo"), run.lines[ends[1]]), run.text
