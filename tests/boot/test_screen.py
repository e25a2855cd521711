# SPDX-License-Identifier: MIT
"""The log on the display: text mode under BIOS, a linear framebuffer under UEFI. QEMU's picture of
the screen is taken apart into characters by the font, so what is read here is what a user sees."""

import gzip
import json
import pathlib
import re
import socket
import subprocess
import time

import pytest

from harness import BUILD, image  # first: it says where the next ones are

import make_iso
import qemu

FONT = pathlib.Path("/usr/share/consolefonts/Unifont-APL8x16.psf.gz")
GLYPH_WIDTH, GLYPH_HEIGHT = 8, 16
TEXT_MEMORY, TEXT_COLUMNS, TEXT_ROWS = 0xb8000, 80, 25
REFUSAL = r"atoll: refused: .*VMX \(CPUID"
INDENT = "  "  # before what goes on in the next row
SECONDS = 90

needs_refusal = pytest.mark.skipif(qemu.vmx_usable(), reason="with KVM, QEMU has VMX: no refusal")


class Qmp:
    """QEMU's control socket: JSON, one object a line."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                assert time.monotonic() < deadline, "QEMU opened no control socket"
                time.sleep(0.1)
        self.stream = self.socket.makefile("rw")
        self.stream.readline()
        self.call("qmp_capabilities")

    def call(self, name, **arguments):
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.stream.flush()
        while "return" not in (answer := json.loads(self.stream.readline())):
            assert "error" not in answer, answer
        return answer["return"]

    def close(self):
        self.stream.close()
        self.socket.close()


def glyphs():
    """The font's glyphs of printable ASCII: their bytes, and the character of each. The font is of
    PSF version 1: each glyph's characters stand in a table behind the glyphs."""
    font = gzip.decompress(FONT.read_bytes())
    assert font[:2] == b"\x36\x04" and font[3] == GLYPH_HEIGHT
    count = 512 if font[2] & 1 else 256
    table = font[4 + count * GLYPH_HEIGHT:]
    words = [int.from_bytes(table[at:at + 2], "little") for at in range(0, len(table), 2)]
    characters, glyph = {}, 0
    for word in words:
        if word == 0xffff:
            glyph += 1
        elif 0x20 <= word <= 0x7e:
            at = 4 + glyph * GLYPH_HEIGHT
            characters.setdefault(font[at:at + GLYPH_HEIGHT], chr(word))
    assert len(characters) == 0x7f - 0x20
    return characters


def picture(path):
    """The width, the height and the pixels of a PPM, of three bytes each."""
    kind, size, depth, pixels = path.read_bytes().split(b"\n", 3)
    assert (kind, depth) == (b"P6", b"255")
    width, height = map(int, size.split())
    assert len(pixels) == 3 * width * height
    return width, height, pixels


def read_picture(path):
    """The lines of text in a picture of the screen; a cell that is no character becomes U+FFFD."""
    characters = glyphs()
    width, height, pixels = picture(path)
    lines = []
    for top in range(0, height - GLYPH_HEIGHT + 1, GLYPH_HEIGHT):
        line = ""
        for left in range(0, width - GLYPH_WIDTH + 1, GLYPH_WIDTH):
            glyph = bytearray()
            for y in range(top, top + GLYPH_HEIGHT):
                at = 3 * (y * width + left)
                row = pixels[at:at + 3 * GLYPH_WIDTH:3]  # the red of each pixel is enough
                glyph.append(sum(0x80 >> x for x, red in enumerate(row) if red))
            line += characters.get(bytes(glyph), "\ufffd")
        lines.append(line)
    return lines


def read_text_memory(path):
    """The lines of text in a copy of the text mode's memory."""
    cells = path.read_bytes()[::2].decode("latin-1")
    return [cells[at:at + TEXT_COLUMNS] for at in range(0, len(cells), TEXT_COLUMNS)]


class Screen:
    """A machine whose display can be read."""

    def __init__(self, directory, uefi, options, serial):
        iso = directory / "atoll.iso"
        entry = make_iso.Entry("test", make_iso.ends_by_itself(options),
                               [f"{image('hello')} hello"])
        make_iso.make_iso(iso, BUILD / "atoll.elf", [entry])
        self.directory, self.uefi = directory, uefi
        self.serial = directory / "serial.txt"
        control = directory / "qmp"
        words = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max",
                 "-m", "256", "-smp", "2", "-cdrom", str(iso), "-boot", "d", "-vga", "std",
                 "-serial", f"file:{self.serial}" if serial else "none", "-monitor", "none",
                 "-display", "none", "-nic", "none", "-no-reboot",
                 "-qmp", f"unix:{control},server=on,wait=off"]
        if uefi:
            words += ["-drive",
                      f"if=pflash,format=raw,unit=0,readonly=on,file={qemu.OVMF}"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        self.qmp = None

    def __enter__(self):
        self.qmp = Qmp(self.directory / "qmp")
        return self

    def __exit__(self, *_):
        if self.qmp:
            self.qmp.close()
        self.process.kill()
        self.process.wait()

    def lines(self):
        """What is on the screen now."""
        copy = self.directory / "screen"
        if self.uefi:
            self.qmp.call("screendump", filename=str(copy))
            return read_picture(copy)
        self.qmp.call("pmemsave", val=TEXT_MEMORY, size=2 * TEXT_COLUMNS * TEXT_ROWS,
                      filename=str(copy))
        return read_text_memory(copy)

    def until(self, pattern):
        """Waits until the text on the screen, its rows put together, has `pattern`; returns the
        rows."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            lines = self.lines()
            if re.search(pattern, text_of(lines)):
                return lines
            time.sleep(0.5)
        pytest.fail("the screen shows no " + pattern + ":\n" + "\n".join(lines), pytrace=False)


def rows_of(line, columns):
    """The rows that a line of the log takes on the screen."""
    step = columns - len(INDENT)
    return [line[:columns].ljust(columns)] + \
        [(INDENT + line[at:at + step]).ljust(columns) for at in range(columns, len(line), step)]


def text_of(rows):
    """The rows put together, those that go on without their indent."""
    return "".join(row.removeprefix(INDENT) for row in rows)


def same_as_serial(lines, log):
    """The screen ends with the lines of the serial console: as many as fit, none torn or lost."""
    used = [line for line in lines if line.strip()]
    expected = [row for line in log for row in rows_of(line, len(lines[0]))]
    assert used == expected[-len(used):]
    assert len(used) == min(len(expected), len(lines))


@needs_refusal
@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
@pytest.mark.parametrize("serial", [True, False], ids=["serial", "alone"])
def test_shows_the_log(tmp_path, uefi, serial):
    with Screen(tmp_path, uefi, "onidle=halt", serial) as screen:
        screen.until(REFUSAL)
        time.sleep(1)
        lines = screen.lines()
    assert re.search(r"\[ +\d+\.\d{6}\] cpu0 atoll: screen: ", text_of(lines))
    assert not uefi or len(lines[0]) > TEXT_COLUMNS
    if serial:
        text = screen.serial.read_text(errors="replace")
        log = [line for line in text.splitlines() if re.match(r"\[ *\d+\.\d{6}\] ", line)]
        same_as_serial(lines, log)


@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
@pytest.mark.parametrize("serial", [True, False], ids=["serial", "alone"])
def test_shows_a_panic(tmp_path, uefi, serial):
    with Screen(tmp_path, uefi, "onidle=halt selftest=panic", serial) as screen:
        lines = screen.until(r"panic:   0x[0-9a-f]{16}")
    text = text_of(lines)
    assert re.search(r"cpu0 atoll: panic: selftest=panic", text)
    assert re.search(r"cpu0 atoll: screen: ", text)  # and what led to it
