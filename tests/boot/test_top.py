# SPDX-License-Identifier: MIT
"""The command `top`, as a terminal shows it: cell by cell, sorted, scrolled, and gone without a
trace."""

import re
import time

import pyte

from harness import own_image

GUEST = own_image("top_load")
COLUMNS, ROWS = 80, 24
TABLE = 5         # its first row ...
TABLE_ROWS = 18   # ... and how many there are
ENTER = b"\x1b[?1049h"
LEAVE = b"\x1b[?1049l"
TITLES = "NAME          STATE        CPU% RUN TIME VCPUS   MEM EXITS/s WAKES/s TOP EXIT   "
KEYS = "Sort: c cpu n name m memory e exits r reverse   j k scroll  space again  q quit "
CELLS = {  # where they stand, and what they are
    "name": (0, 13, r"[\w.-]+ *"),
    "state": (14, 24, r"(running|asleep|paused|stopped|stopping|busy) *"),
    "cpu": (25, 31, r" *(\d+\.\d|-)"),
    "run": (32, 40, r" *(\d+\.\d\ds|\d+:\d\d:\d\d|\d+h)"),
    "vcpus": (41, 46, r" *\d+"),
    "memory": (47, 52, r" *(\d+M|-)"),
    "exits": (53, 60, r" *(\d+|-)"),
    "wakes": (61, 68, r" *(\d+|-)"),
    "top": (69, 80, r"([A-Za-z/ -]+|-) *"),
}


class Top:
    """The terminal while `top` has it."""

    def __init__(self, machine):
        self.machine = machine
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        machine.sendline()
        machine.expect_exact("atoll> ")
        machine.sendline("top")
        machine.expect_exact(ENTER)
        self.at = machine.raw.index(ENTER)
        self.wait(lambda: self.rows() and all("." in row["cpu"] for row in self.rows()))

    def feed(self):
        new = self.machine.raw[self.at:]
        self.at += len(new)
        self.stream.feed(new)
        return len(new)

    def wait(self, condition, timeout=30):
        end = time.monotonic() + timeout
        self.feed()
        while not condition():
            if time.monotonic() > end:
                self.machine.fail("the screen is not as expected\n" +
                                  "\n".join(self.screen.display))
            time.sleep(0.02)
            self.feed()

    def key(self, key, condition):
        self.machine.send(key)
        self.wait(condition)

    def rows(self):
        """Those of the table, each with its cells; what stands between them is blank."""
        rows = []
        for line in self.screen.display[TABLE:TABLE + TABLE_ROWS]:
            if not line.strip():
                break
            rows.append({name: line[start:end].strip() for name, (start, end, _) in CELLS.items()})
        return rows

    def names(self):
        return [row["name"] for row in self.rows()]

    def inverse(self, row):
        """The text of a row that is in reverse video."""
        cells = self.screen.buffer[row]
        return "".join(cells[i].data for i in range(COLUMNS) if cells[i].reverse)

    def seconds(self):
        hours, minutes, seconds = re.match(r"atoll  up (\d+):(\d\d):(\d\d) ",
                                           self.screen.display[0]).groups()
        return int(hours) * 3600 + int(minutes) * 60 + int(seconds)

    def leave(self, key):
        """It ends, and the terminal is as it was."""
        self.machine.send(key)
        self.machine.expect_exact(LEAVE)
        self.machine.expect_exact("atoll> ")
        self.feed()
        assert not self.screen.cursor.hidden
        assert not self.screen.cursor.attrs.reverse
        self.machine.sendline("version")
        self.machine.expect_exact("atoll> version\r\n")
        self.machine.expect(rb"Atoll")


def guests(count, memory=4):
    """The busy one, the one that exits, then others; each smaller than the one before."""
    return [f"{GUEST} vm{(i * 7) % count:02} mem={memory + count - i}M cpus={min(i, 1)}"
            for i in range(count)]


def test_every_cell(console):
    top = Top(console(guests(4), mem=256))
    display = top.screen.display
    assert re.fullmatch(r"atoll  up \d+:\d\d:\d\d  2 cores  memory \d+ of \d+ MiB free *",
                        display[0])
    assert re.fullmatch(r"VMs: 4(  (running|asleep|busy) \d)+ *", display[1])
    assert re.fullmatch(r"Load:  0 \d+%  1 \d+% *", display[2])
    assert display[3].strip() == ""
    assert display[4] == TITLES
    assert top.inverse(4) == TITLES
    assert display[23] == KEYS
    assert top.inverse(23) == "c cpu"
    for row in range(4):
        line = display[TABLE + row]
        for name, (start, end, pattern) in CELLS.items():
            assert re.fullmatch(pattern, line[start:end]), (name, line)
            assert end == COLUMNS or line[end] == " ", (name, line)
        assert top.inverse(TABLE + row) == ""
    for row in range(TABLE + 4, 23):
        assert display[row].strip() == ""
    assert top.screen.cursor.hidden

    busy, often = top.rows()[:2]
    assert busy["name"] == "vm00" and float(busy["cpu"]) > 80
    assert often["name"] == "vm03" and often["top"] == "CPUID"
    assert int(often["exits"]) > 1000 and int(often["wakes"]) > 10
    assert {row["state"] for row in top.rows()[2:]} == {"asleep"}
    assert [row["memory"] for row in sorted(top.rows(), key=lambda row: row["name"])] == \
        ["8M", "5M", "6M", "7M"]
    top.leave("q")


def test_it_sorts(console):
    top = Top(console(guests(4), mem=256))
    def sorts(key, names, marked):
        top.key(key, lambda: top.names()[:len(names)] == names and top.inverse(23) == marked)

    sorts("n", ["vm00", "vm01", "vm02", "vm03"], "n name")
    sorts("r", ["vm03", "vm02", "vm01", "vm00"], "n namer reverse")
    sorts("r", ["vm00", "vm01", "vm02", "vm03"], "n name")
    sorts("m", ["vm00", "vm03", "vm02", "vm01"], "m memory")
    sorts("e", ["vm03"], "e exits")
    sorts("c", ["vm00", "vm03"], "c cpu")
    top.key("x", lambda: True)  # no key of it
    top.leave("q")


def test_it_sends_what_changed(console):
    """Seconds pass, figures change, and little is sent."""
    top = Top(console(guests(4), mem=256))
    start, sent = top.seconds(), 0
    end = time.monotonic() + 60
    while top.seconds() < start + 3:
        sent += top.feed()
        assert time.monotonic() < end
        time.sleep(0.02)
    assert 10 < sent < 3 * 250
    for _ in range(5):  # meanwhile a guest may fall asleep or wake
        seen = top.screen.display[:]
        top.machine.send("\x0c")  # Ctrl-L: all of it
        mark = top.at
        top.wait(lambda: top.at - mark > 400)
        top.wait(lambda: top.screen.display[23] == KEYS)
        if [line[:24] for line in top.screen.display[3:]] == [line[:24] for line in seen[3:]]:
            break
    else:
        assert top.screen.display == seen
    top.leave("q")


def test_it_scrolls(console):
    count = 22
    top = Top(console(guests(count), mem=512))
    names = [f"vm{i:02}" for i in range(count)]
    top.key("n", lambda: top.names() == names[:TABLE_ROWS])
    top.key("k", lambda: top.names() == names[:TABLE_ROWS])
    top.key("j", lambda: top.names() == names[1:1 + TABLE_ROWS])
    top.key("\x1b[B", lambda: top.names() == names[2:2 + TABLE_ROWS])
    top.key("\x1bOB", lambda: top.names() == names[3:3 + TABLE_ROWS])
    top.key("jjjjjjjj", lambda: top.names() == names[count - TABLE_ROWS:])
    top.key("\x1b[A", lambda: top.names() == names[count - TABLE_ROWS - 1:count - 1])
    top.key("k" * 10, lambda: top.names() == names[:TABLE_ROWS])
    top.key(" ", lambda: True)
    top.leave("\x03")


def test_a_vm_that_ends(console):
    """It stays in the table, and what it used is counted on."""
    machine = console(guests(3), mem=256)
    machine.sendline()
    machine.expect_exact("atoll> ")
    machine.sendline("stop vm00")
    machine.expect(rb"stopped: OPERATOR")
    top = Top(machine)
    ended = [row for row in top.rows() if row["name"] == "vm00"]
    assert ended[0]["state"] == "stopped" and ended[0]["memory"] == "-"
    assert ended[0]["cpu"] == "0.0" and ended[0]["run"] != "0.00s"
    assert "stopped 1" in top.screen.display[1]
    top.leave("q")
