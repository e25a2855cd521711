# SPDX-License-Identifier: MIT
"""The monitor's commands as an operator types them: what they answer to good input and to bad, in
tables of 80 columns and in JSON, while guests flood the console."""

import json
import re

import pytest
from pexpect import EOF

from harness import image, own_image

PROMPT = "atoll> "
FLOOD = f"{own_image('console_test')} {{}} cmdline=lines=100000000"
LONG = 'cmdline="ms=1000000"'
LISTS = ["help", "list", "info a", "info b", "links", "switches", "cpus", "memory", "trace",
         "log 5", "log show"]


def open_monitor(console, guests, **settings):
    machine = console(guests, **settings)
    machine.expect(rb"guests created")
    machine.sendline()
    machine.expect_exact(PROMPT)
    return machine


def command(machine, line):
    """The lines that a command writes. What the log says meanwhile comes before or behind them."""
    machine.sendline(line)
    machine.expect_exact(f"{PROMPT}{line}\r\n")
    machine.expect_exact(PROMPT)
    lines = re.sub(rb"\r|\x1b\[K", b"", machine.before).decode("ascii").split("\n")
    return [text for text in lines if text and not (text.startswith("[") and "log" not in line)]


def objects(machine, line):
    """With -j every line is one object."""
    found = [json.loads(text) for text in command(machine, f"{line} -j")]
    assert all(isinstance(each, dict) for each in found)
    return found


def by_name(machine):
    return {row["name"]: row for row in objects(machine, "list")}


def facts(machine, name):
    return {row["item"]: row["value"] for row in objects(machine, f"info {name}")
            if "item" in row}


def four_guests():
    return [f"{image('hog')} a mem=4M weight=200 cap=50 cpus=0-1 net:n=lan {LONG}",
            f"{image('server')} b vcpus=1 link=pair restart=on-failure,limit=3 {LONG}",
            f"{image('hello')} done link=pair,ro net:n=lan,mac=02:00:00:00:00:01",
            f"{image('hello')} bad cpus=77"]


def check_lists(machine):
    """Every command that lists, as a table and as JSON."""
    for line in LISTS:
        table = command(machine, line)
        assert table, line
        if not line.startswith("log "):
            assert max(map(len, table)) <= 80, table
        assert objects(machine, line), line


def test_lists(console):
    machine = open_monitor(console, four_guests())
    machine.expect(rb"done\.0: stopped")
    check_lists(machine)
    vms = by_name(machine)
    assert list(vms) == ["a", "b", "done", "bad"]
    assert [row["id"] for row in vms.values()] == [0, 1, 2, 3]
    assert [row["state"] for row in vms.values()] == ["running", "running", "stopped", "refused"]
    assert vms["a"]["memory"] == 4 << 20
    assert 0 < vms["a"]["resident"] < 1 << 20
    assert 40 <= vms["a"]["cpu_percent"] <= 60
    assert vms["done"]["last_end"] == "status 0"
    assert vms["done"]["resident"] is None

    a = facts(machine, "a")
    assert (a["weight"], a["cap"], a["cpus"], a["restart"]) == \
        ("200", "50% of a core", "0-1", "never")
    assert (a["state"], a["mem"], a["cmdline"]) == ("running", "4096 KiB", "ms=1000000")
    assert facts(machine, "b")["restart"] == "on-failure,limit=3,backoff=10"
    vcpu = [row for row in objects(machine, "info b") if "vcpu" in row]
    assert [(row["vcpu"], row["state"], row["waits_for"]) for row in vcpu] == \
        [(0, "sleeping", "interrupt")]

    peers = objects(machine, "links")
    assert [(row["link"], row["peer"], row["vm"], row["state"], row["rights"]) for row in peers] \
        == [("pair", 0, "b", "alive", "rw"), ("pair", 1, "done", "gone", "ro")]

    ports = objects(machine, "switches")
    assert [(row["switch"], row["port"], row["open"], row["queued"]) for row in ports] == \
        [("lan", "a.n", "yes", 0), ("lan", "done.n", "no", 0)]
    assert re.fullmatch(r"02:41(:[0-9a-f]{2}){4}", ports[0]["mac"])
    assert ports[1]["mac"] == "02:00:00:00:00:01"


def test_machine(console):
    machine = open_monitor(console, [f"{image('hog')} h{i} {LONG}" for i in range(3)], cpus=2,
                           mem=128)
    cores = [row for row in objects(machine, "cpus") if "core" in row]
    assert [(row["core"], row["apic_id"], row["state"]) for row in cores] == \
        [(0, 0, "on"), (1, 1, "on")]
    for _ in range(20):  # a core between two slices runs none, and one may be on the way
        if all(row["runs"] in ("h0.0", "h1.0", "h2.0") for row in cores) and \
                sum(row["vcpus"] for row in cores) == 3:
            break
        cores = [row for row in objects(machine, "cpus") if "core" in row]
    else:
        machine.fail(f"never do both cores run a guest: {cores}")

    memory = objects(machine, "memory")
    holds = {row["holds"]: row for row in memory if "holds" in row}
    assert {"Atoll", "module h0", "module h1", "module h2"} < holds.keys()
    available = [(int(row["start"], 16), int(row["end"], 16)) for row in memory
                 if row.get("firmware") == "available"]
    assert 100 << 20 < sum(end - start for start, end in available) <= 128 << 20
    for row in holds.values():
        start, end = int(row["start"], 16), int(row["end"], 16)
        assert any(first <= start < end <= last for first, last in available), row
    (total,) = [row for row in memory if "frames" in row]
    assert total["free"] == total["reserved"] + total["available"] < total["frames"]
    blocks = sum(row["block"] * row["free_blocks"] for row in memory if "order" in row)
    assert abs(blocks - total["free"]) < 1 << 20  # guests touch pages meanwhile
    vms = [row for row in memory if "vm" in row]
    assert [row["vm"] for row in vms] == ["h0", "h1", "h2"]
    for row in vms:
        assert 0 < row["ept"] < row["overhead"] < row["resident"] < row["size"] == 8 << 20
        assert row["reserved"] > row["size"] - row["resident"] - (1 << 20)

    version = command(machine, "version")
    assert re.fullmatch(r"Atoll \d+\.\d+\.\d+", version[0])
    assert [line.split()[0] for line in version[1:]] == ["compiler", "statistics", "started"]


BAD = [("nope", "no command"),
       ("LIST", "no command"),
       ("list all", "expected: list"),
       ("info", "expected: info VM"),
       ("info nobody", 'no VM "nobody"; list shows them all'),
       ("info done.0", 'no VM "done.0"; list shows them all'),
       ("pause", "expected: pause VM"),
       ("pause a b", "expected: pause VM"),
       ("pause -j a", "expected: pause VM"),
       ("pause done", "done: it is stopped; expected a running VM"),
       ("resume a", "a: it is running; expected a paused VM"),
       ("stop bad", "bad: it is refused; expected a VM that runs, or is paused or restarting"),
       ("start a", "a: it is running; expected a stopped VM"),
       ("start bad", "bad: it is refused; expected a stopped VM"),
       ("restart done", "done: it is stopped; expected a VM that runs, or is paused or restarting"),
       ("console bad", "bad: it is refused; expected one that could start"),
       ("log nope", "log nope: expected a number of lines, all, show, only or exits"),
       ("log 0", "log 0: expected a number of lines, all, show, only or exits"),
       ("log 99999999999999999999999", "log 99999999999999999999999: expected a number"),
       ("log 3 4", "log 3: expected nothing behind it"),
       ("log show loud", "log show loud: expected nothing, host or all"),
       ("log only nobody", 'no VM "nobody"; list shows them all'),
       ("log exits", "log exits: expected on, off or names of exit reasons"),
       ("log exits VMCALL,nope", 'log exits: no exit reason is called "nope"'),
       ("log exits ,", 'log exits: no exit reason is called ""'),
       ("trace nope", "trace nope: expected on, off or dump"),
       ("trace on now", "trace on: expected nothing behind it"),
       ("trace dump com9", "trace dump com9: expected com1 or com2"),
       ("help nope", 'no command "nope"; help lists them all'),
       ("help list info", "expected: help [COMMAND]"),
       ("poweroff now", "expected: poweroff")]


def test_bad_input(console):
    """One line that says what was expected, and nothing happens."""
    machine = open_monitor(console, four_guests())
    machine.expect(rb"done\.0: stopped")
    before = {name: row["state"] for name, row in by_name(machine).items()}
    for line, answer in BAD:
        found = command(machine, line)
        assert len(found) == 1 and found[0].startswith(answer), (line, found)
    assert json.loads(command(machine, "info nobody -j")[0]) == \
        {"error": 'no VM "nobody"; list shows them all'}
    assert {name: row["state"] for name, row in by_name(machine).items()} == before


def test_verbs(console):
    machine = open_monitor(console, four_guests())
    assert command(machine, "pause a") == ["a: paused"]
    assert command(machine, "pause a") == ["a: it is paused; expected a running VM"]
    assert by_name(machine)["a"]["state"] == facts(machine, "a")["state"] == "paused"
    held = facts(machine, "a")["run time"]
    assert facts(machine, "a")["run time"] == held  # its time stands still
    assert command(machine, "resume a") == ["a: runs on"]
    assert command(machine, "stop a") == ["a: stopped"]
    assert by_name(machine)["a"]["last_end"] == "OPERATOR"
    assert command(machine, "stop a")[0].startswith("a: it is stopped; expected ")
    assert command(machine, "start a") == ["a: started"]
    assert command(machine, "restart a") == ["a: started anew"]
    row = by_name(machine)["a"]
    assert (row["state"], row["starts"], row["last_end"]) == ("running", 3, "OPERATOR")
    assert command(machine, "pause a") == ["a: paused"]
    assert command(machine, "stop a") == ["a: stopped"]
    assert command(machine, "restart b") == ["b: started anew"]
    assert facts(machine, "b")["starts"] == "2"


def test_console(console):
    machine = open_monitor(console, four_guests())
    machine.expect(rb"done\.0: stopped")
    machine.sendline("console b")
    machine.expect(rb"\[b: Ctrl-O leaves")
    machine.send(b"\x0f")
    machine.expect(rb"\[b: detached")
    machine.expect_exact(PROMPT)
    machine.sendline("console done")  # what it wrote, and that it has ended
    machine.expect(rb"good-bye")
    machine.expect(rb"\[done: it has ended")


def test_log(console):
    machine = open_monitor(console, four_guests())
    machine.expect(rb"done\.0: stopped")
    everything = command(machine, "log all")
    assert re.match(r"\[ +0\.000000\] cpu0 atoll: Atoll ", everything[0])
    assert len(command(machine, "log")) == min(20, len(everything))
    assert command(machine, "log 3") == everything[-3:]
    assert [row["line"] for row in objects(machine, "log 3")] == everything[-3:]

    assert objects(machine, "log show") == [{"show": "all", "only": None, "exits": "off"}]
    command(machine, "log show host")
    command(machine, "log only done")
    command(machine, "log exits HLT,preemption-timer")
    assert objects(machine, "log show") == [{"show": "host", "only": "done", "exits": "2 reasons"}]
    command(machine, "log only")
    command(machine, "log show all")
    machine.expect(rb" a\.0: exit 52 preemption timer ")
    command(machine, "log exits off")
    assert objects(machine, "log show")[0]["exits"] == "off"


def test_trace(console):
    machine = open_monitor(console, four_guests())
    assert objects(machine, "trace")[0]["trace"] == "off"
    assert objects(machine, "trace on")[0]["trace"] == "on"
    (figures,) = objects(machine, "trace off")
    assert figures["trace"] == "off" and figures["events"] > 0
    dump = command(machine, "trace dump com1")
    assert dump[0] == "atoll-trace: BEGIN"
    assert dump[-1] == f"atoll-trace: END {figures['bytes']}"
    assert all(re.fullmatch(r"atoll-trace: [A-Za-z0-9+/]+=*", line) for line in dump[1:-1])


def test_ctrl_c_ends_a_command(console):
    machine = open_monitor(console, four_guests())
    command(machine, "trace on")
    machine.sendline("trace dump com1")
    machine.expect(rb"atoll-trace: BEGIN")
    machine.send(b"\x03")
    machine.expect_exact(PROMPT)
    assert b"END" not in machine.before
    assert command(machine, "pause a") == ["a: paused"]
    assert objects(machine, "trace on")[0]["trace"] == "on"  # the dump was given up


@pytest.mark.parametrize("options", ["", "conrate=0"])
def test_while_guests_flood_the_console(console, options):
    machine = open_monitor(console, [FLOOD.format("f1"), FLOOD.format("f2 vcpus=2"),
                                     f"{image('hog')} a {LONG}",
                                     f"{image('server')} b link=pair net:n=lan {LONG}"],
                           options=options)
    check_lists(machine)
    assert command(machine, "pause a") == ["a: paused"]
    assert command(machine, "info nobody") == ['no VM "nobody"; list shows them all']
    command(machine, "log show host")
    assert command(machine, "restart f1") == ["f1: started anew"]
    assert command(machine, "stop f2") == ["f2: stopped"]
    states = {name: row["state"] for name, row in by_name(machine).items()}
    assert states == {"f1": "running", "f2": "stopped", "a": "paused", "b": "running"}


def test_many_vms(console):
    """Lists go on over many steps."""
    count = 200
    machine = open_monitor(console, [f"{image('server')} s{i} mem=1M link=l{i // 8} {LONG}"
                                     for i in range(count)], cpus=2, mem=512)
    assert list(by_name(machine)) == [f"s{i}" for i in range(count)]
    assert [row["vm"] for row in objects(machine, "links")] == [f"s{i}" for i in range(count)]
    assert [row["vm"] for row in objects(machine, "memory") if "vm" in row] == \
        [f"s{i}" for i in range(count)]
    assert len([row for row in objects(machine, "cpus") if "core" in row]) == 2


def test_poweroff(console):
    machine = open_monitor(console, four_guests())
    machine.sendline("poweroff")
    machine.ends().has(r"all guests ended: 1 of 4 with status 0")


def test_reboot(console):
    """Atoll starts again; or the BIOS of Bochs does, which does not always outlive a reset
    ("Keyboard error")."""
    machine = open_monitor(console, four_guests())
    machine.sendline("reboot")
    machine.expect(rb"all guests ended: ")
    if machine.expect([rb"atoll: Atoll \d", EOF]) == 1:
        machine.thread.join(60)
        assert "[BIOS" in machine.result.complaint
