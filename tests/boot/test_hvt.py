# SPDX-License-Identifier: MIT
"""Guests with Solo5's hvt interface. Our own behave as Solo5's test guests, with the same verdicts;
then what no such guest may do, images that are refused, and devices."""

import pathlib
import re
import struct

import pytest

from harness import image, own_image
from test_monitor import command, facts, open_monitor

MEMORY = 2 << 20  # the least that such a guest can have
FAULT = r"stopped: EPT_VIOLATION: host/guest translation fault: "
ABORT = r"stopped: GUEST_EXIT: status 255, an abort"


def guest(name, called=None, keys="", cmdline=""):
    """The line of a guest of tests/guests/hvt/."""
    words = f' cmdline="{cmdline}"' if cmdline else ""
    return f"{own_image(f'hvt/{name}')} {called or name} mem={MEMORY >> 10}K {keys}{words}"


def demo_guest(name, called, keys, cmdline):
    """The line of a guest of guests/hvt/."""
    return f'{image(f"hvt/{name}")} {called} mem=2M {keys} cmdline="{cmdline}"'


def exits(status):
    return rf"stopped: GUEST_EXIT: status {status}$"


def check_end(run, name, end, *said):
    """The guest's last line is that, and it said so."""
    run.has(rf"{name}\.0: {end}")
    for words in said:
        if not any(words in line for line in run.of_guest(name)):
            run.fail(f"{name} did not say {words!r}")


# ---- Solo5's own tests ---------------------------------------------------------------------------

VERDICTS = {  # name: (keys, command line, end, text)
    "quiet": ("", "--solo5:quiet", exits(0), "SUCCESS"),
    "output": ("", "", exits(0), " 4200 bytes"),
    "globals": ("", "", exits(0), "SUCCESS"),
    "exception": ("", "", ABORT + r": trap .*cr2=0x400000000 error=0x2", "ABORT"),
    "zeropage": ("", "", ABORT + r": trap .*cr2=0x8 error=0x2", "ABORT"),
    "notls": ("", "", ABORT + r": trap .*cr2=0x28 error=0x0", "ABORT"),
    "tls": ("", "", exits(0), "SUCCESS"),
    "ssp": ("", "", ABORT + "$", "Stack corruption detected"),
    "fpu": ("", "", exits(0), "SUCCESS"),
    "time": ("", "", exits(0), "SUCCESS"),
    "xnow": ("", "", FAULT + r".*write, page is --x", None),
    "rnow": ("", "", FAULT + r".*write, page is r--", None),
    "xnor": ("", "", FAULT + r".*read, page is --x", None),
    "rnox": ("", "", FAULT + r".*fetch, page is r--", None),
    "wnox": ("", "", FAULT + r".*fetch, page is rw-", None),
    "mft_maxdevices": (" ".join(f"block:storage{i}=ram:4K" for i in range(63)), "", exits(0),
                       "SUCCESS"),
    "net_mtu": ("net:service0=lan,mtu=9000,mac=02:a0:00:00:00:01", "", exits(0), "MTU is 9000"),
    "dumpcore": ("", "", ABORT + "$", "ABORT: on purpose"),
}


def test_verdicts(boot):
    run = boot([guest(name, None, keys, cmdline)
                for name, (keys, cmdline, _, _) in VERDICTS.items()])
    good = 0
    for name, (_, _, end, text) in VERDICTS.items():
        good += end == exits(0)
        check_end(run, name, end, *([text] if text else []))
    run.ends(good, len(VERDICTS))
    run.lacks(r"FAILURE|quiet\| Solo5:")
    lines = [line for line in run.of_guest("output") if line.endswith(" bytes")]
    assert [int(line.split()[-2]) for line in lines] == list(range(60, 4201, 60))
    assert "MAC 02:a0:00:00:00:01" in run.of_guest("net_mtu")


def test_hello(boot):
    run = boot([f'{image("hvt/hello")} hello mem=4M cmdline="Hello Solo5"'])
    run.ends(1, 1)
    assert 'command line: "Hello Solo5"' in run.of_guest("hello")
    run.has(r"hello\| I am an hvt guest with 4096 KiB")


def test_without_execute_only_code_can_be_read(boot):
    run = boot([guest("xnor"), guest("xnow")], model="corei5_lynnfield_750")
    if "execute-only" not in run.has(r"VMX on").string:
        check_end(run, "xnor", exits(1), "FAILURE")
    check_end(run, "xnow", FAULT)


# ---- How it starts -------------------------------------------------------------------------------

WORDS = "words, \"quoted\" and 'so', a \\ and more"


def test_state_at_entry(boot):
    quoted = WORDS.replace("\\", "\\\\").replace('"', '\\"')
    sizes = {"small": "2M", "middle": "64M", "odd": "6M,eager"}
    numbers = {"small": 2 << 20, "middle": 64 << 20, "odd": 6 << 20}
    run = boot([f'{own_image("hvt/entry")} {name} mem={size} block:disk=ram:8K '
                f'cmdline="mem={numbers[name]} {quoted}"' for name, size in sizes.items()])
    run.ends(3, 3)
    for name in sizes:
        run.has(rf"{name}\| entry: (\d+) of \1 checks as expected")
        assert f"command line: [mem={numbers[name]} {WORDS}]" in run.of_guest(name)


def check_refused(boot, name, cases):
    """Boots the guest once for each (keys, words of the refusal), and a good one beside it."""
    run = boot([f"{own_image(f'hvt/{name}')} bad{i} {keys}" for i, (keys, _) in enumerate(cases)] +
               [guest("quiet", "good", "", "--solo5:quiet")])
    run.ends(1, len(cases) + 1)
    for i, (_, words) in enumerate(cases):
        run.has(rf" bad{i}: refused: .*{words}")


def test_refused_keys(boot):
    check_refused(boot, "quiet", [
        ("mem=3M", r"multiple of 2 MiB"),
        ("mem=1M", r"multiple of 2 MiB"),
        ("mem=8G", r"at most . GiB"),
        ("mem=2M vcpus=2", r"vcpus=.*one vCPU"),
        ("mem=2M link=l", r"link=.*no links"),
    ])


# ---- What no hvt guest may do --------------------------------------------------------------------

NO_PORT = r"stopped: BAD_IO_PORT: an hvt guest has no port 0x%x "
MISUSE = {  # name: (how, port, end)
    "call-0": ("out32", 0x500, NO_PORT % 0x500),
    "call-9": ("out32", 0x509, NO_PORT % 0x509),
    "call-15": ("out32", 0x50f, NO_PORT % 0x50f),
    "ring": ("out32", 0x600, NO_PORT % 0x600),
    "below": ("out32", 0x4ff, NO_PORT % 0x4ff),
    "port-0": ("out32", 0, NO_PORT % 0),
    "port-ffff": ("out32", 0xffff, NO_PORT % 0xffff),
    "uart": ("out8", 0x3f8, NO_PORT % 0x3f8),
    "keyboard": ("out8", 0x64, NO_PORT % 0x64),
    "reset": ("out8", 0xcf9, NO_PORT % 0xcf9),
    "byte": ("out8", 0x502, NO_PORT % 0x502),
    "word": ("out16", 0x502, NO_PORT % 0x502),
    "in-byte": ("in8", 0x502, NO_PORT % 0x502),
    "in-word": ("in16", 0x502, NO_PORT % 0x502),
    "in-long": ("in32", 0x502, NO_PORT % 0x502),
    "outs": ("outs", 0x502, NO_PORT % 0x502),
    "rep-outs": ("rep-outs", 0x502, NO_PORT % 0x502),
    "ins": ("ins", 0x502, NO_PORT % 0x502),
    "hlt": ("hlt", 0, r"stopped: BAD_INSTRUCTION: .*HLT"),
    "vmcall": ("vmcall", 0, r"stopped: BAD_INSTRUCTION: .*VMCALL"),
    "vmcall-exit": ("vmcall", 2, r"stopped: BAD_INSTRUCTION: .*VMCALL"),
    "triple": ("triple-fault", 0, r"stopped: TRIPLE_FAULT"),
    "block-write": ("out32", 0x504, r"stopped: BAD_HYPERCALL: BLOCK_WRITE: no such device"),
    "block-read": ("out32", 0x505, r"stopped: BAD_HYPERCALL: BLOCK_READ: no such device"),
    "net-write": ("out32", 0x506, r"stopped: BAD_HYPERCALL: NET_WRITE: no such device"),
    "net-read": ("out32", 0x507, r"stopped: BAD_HYPERCALL: NET_READ: no such device"),
}


def test_misuse(boot):
    run = boot([guest("misuse", name, "", f"how={how} port={port}")
                for name, (how, port, _) in MISUSE.items()])
    run.ends(0, len(MISUSE))
    for name, (_, _, end) in MISUSE.items():
        check_end(run, name, end)
    run.lacks("FAILURE")


WALLTIME, PUTS, POLL, BLOCK_WRITE, BLOCK_READ, NET_WRITE, NET_READ, HALT = range(1, 9)
SIZES = {WALLTIME: 8, PUTS: 16, POLL: 24, BLOCK_WRITE: 40, BLOCK_READ: 40, NET_WRITE: 32,
         NET_READ: 32, HALT: 16}
WRAP = 1 << 64
BAD = "bad"  # "Invalid guest access"
GOOD = "good"


def structures():
    """Where a call's structure may be: all of it in RAM, and not its last byte."""
    for call, size in SIZES.items():
        yield call, {"at": MEMORY - size}, BAD
        yield call, {"at": MEMORY - size - 1}, GOOD
        yield call, {"at": MEMORY - 1}, BAD
        yield call, {"at": MEMORY}, BAD
        yield call, {"at": (1 << 32) - 1}, BAD
    for call in (WALLTIME, POLL, BLOCK_READ):  # results are written there
        yield call, {"at": 0}, GOOD
        yield call, {"at": "rodata"}, BAD
        yield call, {"at": "code"}, BAD


def buffers():
    """The same for what a structure points at, in 64 bits."""
    for call in (PUTS, BLOCK_WRITE, BLOCK_READ, NET_WRITE, NET_READ):
        yield call, {"data": 0, "length": 512}, GOOD
        yield call, {"data": MEMORY - 512, "length": 512}, BAD
        yield call, {"data": MEMORY - 513, "length": 512}, GOOD
        yield call, {"data": MEMORY - 1, "length": 1}, BAD
        yield call, {"data": MEMORY - 1, "length": 0}, GOOD
        yield call, {"data": MEMORY, "length": 0}, BAD
        yield call, {"data": WRAP - 512, "length": 512}, BAD
        yield call, {"data": WRAP - 1, "length": 1}, BAD
        yield call, {"data": 1 << 32, "length": 16}, BAD
        yield call, {"data": (1 << 63) + 4096, "length": 16}, BAD
        too_long = GOOD if call in (BLOCK_WRITE, BLOCK_READ) else BAD  # not on the disk: a result
        yield call, {"data": 4096, "length": WRAP - 4096}, too_long
        yield call, {"data": 4096, "length": WRAP - 1}, too_long
        yield call, {"data": 0, "length": MEMORY}, too_long
    yield PUTS, {"data": "rodata"}, GOOD
    yield BLOCK_WRITE, {"data": "rodata"}, GOOD
    yield BLOCK_READ, {"data": "rodata"}, BAD
    yield BLOCK_READ, {"data": "code"}, BAD


@pytest.mark.parametrize("cases", [structures, buffers])
def test_pointers(boot, cases):
    """Whether the call does what it is to do is not the point here: only whether it is one."""
    wanted, lines = {}, []
    for number, (call, where, end) in enumerate(cases()):
        name = f"p{number}"
        words = " ".join(f"{key}={value}" for key, value in where.items())
        wanted[name] = (call, words, end)
        lines.append(guest("pointers", name,
                           f"block:disk=ram:64K net:net=lan{number % 2}",  # 64 ports a switch
                           f"call={call} {words}"))
    run = boot(lines)
    for name, (call, words, end) in wanted.items():
        stopped = run.has(rf"{name}\.0: stopped: (.*)")[1]
        invalid = "BAD_HYPERCALL" in stopped and "Invalid guest access" in stopped
        if invalid != (end == BAD) or (end == GOOD and stopped != "GUEST_EXIT: status 0"):
            run.fail(f"call={call} {words}: expected a {end} call, got: {stopped}")


# ---- Images --------------------------------------------------------------------------------------

PT_LOAD, PT_NOTE, PT_TLS = 1, 4, 7
NOTE_HEADER = 20
MANIFEST_AT = NOTE_HEADER + 4  # in its note
ENTRY_SIZE, NAME_SIZE = 104, 68
TEXT, RODATA, DATA, _, BSS = range(5)  # PT_LOADs of guests/hvt/lib/hvt.ld
ABI, MANIFEST = range(2)               # its PT_NOTEs
FIELDS = {"type": (0, "I"), "flags": (4, "I"), "offset": (8, "Q"), "vaddr": (16, "Q"),
          "filesz": (32, "Q"), "memsz": (40, "Q"), "align": (48, "Q")}  # of a program header


class Image:
    """An image to be damaged."""

    def __init__(self, name):
        self.bytes = bytearray(pathlib.Path(own_image(f"hvt/{name}")).read_bytes())
        start, = struct.unpack_from("<Q", self.bytes, 32)
        size, count = struct.unpack_from("<HH", self.bytes, 54)
        self.headers = range(start, start + size * count, size)

    def put(self, at, form, value):
        struct.pack_into("<" + form, self.bytes, at, value)

    def program(self, kind, number):
        """The place of the `number`-th header of a kind."""
        return [at for at in self.headers
                if struct.unpack_from("<I", self.bytes, at)[0] == kind][number]

    def get(self, header, field):
        return struct.unpack_from("<" + FIELDS[field][1], self.bytes, header + FIELDS[field][0])[0]

    def set(self, kind, number, **fields):
        header = self.program(kind, number)
        for field, value in fields.items():
            self.put(header + FIELDS[field][0], FIELDS[field][1], value)
        return self

    def note(self, number, at, value, form="I"):
        """Changes a note, `at` bytes from its start."""
        self.put(self.get(self.program(PT_NOTE, number), "offset") + at, form, value)
        return self

    def entry(self, index, at, value, form="I"):
        """Changes an entry of the manifest."""
        return self.note(MANIFEST, MANIFEST_AT + 8 + index * ENTRY_SIZE + at, value, form)

    def name(self, index, name):
        """Names an entry of the manifest."""
        return self.entry(index, 0, name, f"{NAME_SIZE}s")

    def header(self, at, value, form="H"):
        """Changes the ELF header."""
        self.put(at, form, value)
        return self

    def more_notes(self, first, **changes):
        """Makes the header of thread-local variables, which stands before the notes', one of a
        note: a copy of the ABI's, changed in its bytes, in front of that or behind it."""
        note = self.get(self.program(PT_NOTE, ABI), "offset")
        copy = len(self.bytes)
        self.bytes += self.bytes[note:note + NOTE_HEADER + 16]
        for at, value in changes.items():
            self.put(copy + int(at[1:]), "I", value)
        places = (copy, note) if first else (note, copy)
        self.set(PT_TLS, 0, type=PT_NOTE, offset=places[0], filesz=36, memsz=36, align=4)
        return self.set(PT_NOTE, 1, offset=places[1])


def bad(name="poll"):
    return Image(name)


REFUSED = {  # name: (image, words)
    "class-32": (bad().header(4, 1, "B"), "ELF class"),
    "shared": (bad().header(16, 3), "ELF type"),
    "machine": (bad().header(18, 3), "ELF machine"),
    "entry-low": (bad().header(24, 0xfffff, "Q"), "entry 0xfffff"),
    "entry-high": (bad().header(24, MEMORY, "Q"), "entry 0x200000"),
    "entry-far": (bad().header(24, WRAP - 1, "Q"), "entry 0xf"),
    "note-short": (bad().set(PT_NOTE, ABI, filesz=11), "too few for a note"),
    "note-cut": (bad().set(PT_NOTE, MANIFEST, filesz=NOTE_HEADER + 4 + 8),
                 "note does not fall within valid size"),
    "note-outside": (bad().set(PT_NOTE, MANIFEST, filesz=1 << 40),
                     "note does not fall within valid size"),
    "note-empty": (bad().note(MANIFEST, 4, 0), "note does not fall within valid size"),
    "note-padding": (bad().note(MANIFEST, 4, 4), "note does not fall within valid size"),
    "buggyelf": (bad().note(MANIFEST, 4, 1), "note does not fall within valid size"),
    "note-large": (bad().note(MANIFEST, 4, 4 + 8 + 64 * ENTRY_SIZE + 1),
                   "note does not fall within valid size"),
    "abi-large": (bad().note(ABI, 4, 17), "note does not fall within valid size"),
    "abi-small": (bad().note(ABI, 4, 12), "ABI1 note has 0xc bytes"),
    "target": (bad().note(ABI, NOTE_HEADER, 2), "target 2, version 2"),
    "version-1": (bad().note(ABI, NOTE_HEADER + 4, 1), "target 1, version 1"),
    "version-3": (bad().note(ABI, NOTE_HEADER + 4, 3), "target 1, version 3"),
    "no-abi": (bad().note(ABI, 8, 0x31494242), "no ABI1 note"),
    "no-manifest": (bad().note(MANIFEST, 8, 0x3154464e), "no MFT1 note"),
    "two-abis": (bad().more_notes(True, _24=3), "target 1, version 3"),
    "manifest-version": (bad().note(MANIFEST, MANIFEST_AT, 2), "manifest version 2"),
    "no-entries": (bad().note(MANIFEST, MANIFEST_AT + 4, 0), "manifest of 0 entries"),
    "entries-65": (bad().note(MANIFEST, MANIFEST_AT + 4, 65), "manifest of 65 entries"),
    "entries-many": (bad().note(MANIFEST, MANIFEST_AT + 4, 0xffffffff), "manifest of 4294967295"),
    "entries-more": (bad().note(MANIFEST, MANIFEST_AT + 4, 5), "manifest of .* has 5 entries"),
    "entries-less": (bad().note(MANIFEST, MANIFEST_AT + 4, 3), "manifest of .* has 3 entries"),
    "entry-0-type": (bad().entry(0, 68, 1), "manifest entry 0 has type 0x1"),
    "entry-0-name": (bad().name(0, b"A"), "manifest entry 0 has .*name \"A\""),
    "no-nul": (bad().name(1, b"A" * NAME_SIZE), "manifest entry 1: its name has no NUL"),
    "no-name": (bad().name(1, b""), "manifest entry 1: the name \"\" is empty"),
    "twins": (bad().name(2, b"disk"), "manifest entry 2: the name \"disk\" is empty or taken"),
    "attached": (bad().entry(3, 96, 1, "B"), "manifest entry 3 is attached"),
    "type-3": (bad().entry(3, 68, 3), "manifest entry 3 has the unknown type 0x3"),
    "type-0": (bad().entry(3, 68, 0), "manifest entry 3 has the unknown type 0x0"),
    "write-execute": (bad().set(PT_LOAD, TEXT, flags=7), "writable and executable"),
    "low": (bad().set(PT_LOAD, TEXT, vaddr=0xff000), "below 0x100000"),
    "lowest": (bad().set(PT_LOAD, TEXT, vaddr=0), "below 0x100000"),
    "aligned-down": (bad().set(PT_LOAD, TEXT, align=2 << 20), "not within 0x100000"),
    "high": (bad().set(PT_LOAD, DATA, vaddr=MEMORY), "outside RAM"),
    "at-the-end": (bad().set(PT_LOAD, DATA, vaddr=MEMORY - 0x1000, memsz=0x1001), "outside RAM"),
    "wraps": (bad().set(PT_LOAD, DATA, vaddr=WRAP - 0x1000), "outside RAM"),
    "endless": (bad().set(PT_LOAD, DATA, memsz=WRAP - 1), "outside RAM"),
    "endless-alignment": (bad().set(PT_LOAD, DATA, align=1 << 63), "outside RAM"),
    "alignment-3": (bad().set(PT_LOAD, DATA, align=3), "no power of two"),
    "half-pages": (bad().set(PT_LOAD, DATA, align=0x800, vaddr=0x1f0800), "no whole pages"),
    "unaligned": (bad().set(PT_LOAD, DATA, align=1), "no whole pages"),
    "small-in-memory": (bad().set(PT_LOAD, DATA, memsz=1), "but 0x1 in memory"),
    "outside-file": (bad().set(PT_LOAD, DATA, offset=1 << 40), "outside the file"),
    "outside-file-wraps": (bad().set(PT_LOAD, DATA, offset=WRAP - 16), "outside the file"),
    "descending": (bad().set(PT_LOAD, DATA, vaddr=0x100000), "not behind the one before it"),
    "overlapping": (bad().set(PT_LOAD, TEXT, memsz=0x80000), "not behind the one before it"),
    "nothing": (bad().set(PT_LOAD, TEXT, filesz=0).set(PT_LOAD, RODATA, filesz=0)
                .set(PT_LOAD, DATA, filesz=0), "no segment to load"),
}

ACCEPTED = {  # odd, but right
    "second-abi": Image("globals").more_notes(False, _24=3),
    "bss-anywhere": Image("globals").set(PT_LOAD, BSS, vaddr=0, memsz=WRAP - 1, flags=7, align=3),
    "osabi": Image("globals").header(7, 97, "B"),
    "data-not-rx": Image("globals").set(PT_LOAD, RODATA, flags=0),
    "note-12": Image("globals").set(PT_TLS, 0, type=PT_NOTE, filesz=12, offset=0),
}


def place(folder, name, changed):
    """Writes an image; returns its path."""
    path = folder / f"{name}.elf"
    path.write_bytes(changed.bytes)
    return path


DEVICES_OF_POLL = "block:disk=ram:4K net:first=a net:second=b"


def test_refused_images(boot, tmp_path):
    run = boot([f"{place(tmp_path, name, changed)} {name} mem=2M {DEVICES_OF_POLL}"
                for name, (changed, _) in REFUSED.items()] + [f"{image('hello')} good"])
    run.ends(1, len(REFUSED) + 1)
    for name, (_, words) in REFUSED.items():
        run.has(rf" {name}: refused: .*{words}")


def test_refusal_cannot_be_forged(boot, tmp_path):
    """A device's name is the image's: in the log it stays within its line."""
    forged = bad().name(3, b"\n[    0.100000] cpu0 atoll: all guests ended: 1 of 1 with status 0")
    run = boot([f"{place(tmp_path, 'forged', forged)} forger mem=2M block:disk=ram:4K net:first=a"])
    run.ends(0, 1)
    run.has(r" forger: refused: .*net:\\x0a\[ +0\.100000\] cpu0 atoll: all guests")
    run.lacks(r"^\[ +0\.100000\]")


def test_accepted_images(boot, tmp_path):
    run = boot([f"{place(tmp_path, name, changed)} {name} mem=2M"
                for name, changed in ACCEPTED.items()])
    run.ends(len(ACCEPTED), len(ACCEPTED))


# ---- Devices -------------------------------------------------------------------------------------

def test_refused_devices(boot):
    check_refused(boot, "poll", [(f"mem=2M {keys}", words) for keys, words in (
        ("", r"needs devices that its line does not attach: block:disk net:first net:second$"),
        ("block:disk=ram:4K net:first=a", r"does not attach: net:second$"),
        ("net:disk=a net:first=a net:second=b", r"does not attach: block:disk$"),
        (f"{DEVICES_OF_POLL} net:third=c", r"net:third: the image's manifest declares no such"),
        (f"{DEVICES_OF_POLL} block:more=ram:4K", r"block:more: the image's manifest declares no"),
        ("block:disk=none net:first=a net:second=b", r"block:disk=none: no module of this name"),
        ("block:disk=ram:6K,sectors=4096 net:first=a net:second=b",
         r"Backing storage size must be block aligned"),
        ("block:disk=ram:1563,sectors=521 net:first=a net:second=b",
         r"Block size must be a multiple of 2"),
        ("block:disk=ram:256,sectors=256 net:first=a net:second=b",
         r"Block size must be a multiple of 2 greater than or equal 512"),
        ("block:disk=ram:0 net:first=a net:second=b",
         r"Backing storage size must be block aligned"),
    )])


def test_block(boot, tmp_path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    run = boot([guest("blk", "small", "block:storage=ram:512"),
                guest("blk", "middle", "block:storage=ram:256K,sectors=4096"),
                guest("blk", "largest", "block:storage=ram:1M,sectors=32768"),
                guest("blk", "one", "block:storage=image"),
                guest("blk", "two", "block:storage=image,sectors=4096"),
                guest("blk", "again", "block:storage=image restart=always,limit=2,backoff=1"),
                f"{disk} image"])
    run.has(r" image: a disk of 1048576 bytes")
    for name in ("small", "middle", "largest", "one", "two", "again"):
        check_end(run, name, exits(0), "SUCCESS")
    assert run.of_guest("again").count("SUCCESS") == 3
    run.lacks("FAILURE")


def test_odd_disk_images(boot, tmp_path):
    for name, size in (("empty", 0), ("odd", 1000), ("half", 6144)):
        (tmp_path / name).write_bytes(bytes(size))
    run = boot([guest("blk", "one", "block:storage=empty"),
                guest("blk", "two", "block:storage=odd"),
                guest("blk", "three", "block:storage=half,sectors=4096"),
                guest("blk", "four", "block:storage=half"),
                *(f"{tmp_path / name} {name}" for name in ("empty", "odd", "half"))])
    run.ends(1, 4)
    for name in ("one", "two", "three"):
        run.has(rf" {name}: refused: .*Backing storage size must be block aligned")


def test_read_only_disk(boot, tmp_path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(8192))
    run = boot([guest("blk", "guest", "block:storage=image,ro"), f"{disk} image"])
    check_end(run, "guest", exits(3), "FAILURE")  # its first write fails


# ---- Networks ------------------------------------------------------------------------------------

def pinger(name, net, cmdline):
    return demo_guest("pinger", name, f"net:net={net}", cmdline)


def test_net(boot):
    run = boot([demo_guest("responder", "net", "net:service0=lan", "n=500"),
                pinger("peer", "lan", "ip=10.0.0.1 peer=10.0.0.2 n=500")])
    run.ends(2, 2)
    run.has(r"net\| 500 pings on 10\.0\.0\.2")
    run.has(r"peer\| 500 of 500 pings answered")


def test_net_two_interfaces(boot):
    run = boot([guest("net_2if", "net", "net:service0=lan net:service1=other", "n=400"),
                pinger("peer0", "lan", "ip=10.0.0.1 peer=10.0.0.2 n=200"),
                pinger("peer1", "other", "ip=10.1.0.1 peer=10.1.0.2 n=200")], cpus=1)
    run.ends(3, 3)
    for i in range(2):
        run.has(rf"net\| 200 pings on 10\.{i}\.0\.2")


@pytest.mark.parametrize("mtu, size", [(1500, 1472), (9000, 8000)])
def test_net_payload(boot, mtu, size):
    run = boot([guest("net_ring", "net", f"net:service0=lan,mtu={mtu}", "n=100"),
                pinger("peer", f"lan,mtu={mtu}", f"ip=10.0.0.1 peer=10.0.0.2 n=100 size={size}")])
    run.ends(2, 2)
    run.has(r"net\| verified 100 packets")


def test_poll(boot):
    run = boot([guest("poll", "poll", DEVICES_OF_POLL),
                pinger("one", "a", "ip=10.0.0.1 peer=10.0.0.2 delay=50"),
                pinger("two", "b", "ip=10.0.0.1 peer=10.0.0.2 delay=3000")])
    run.has(r"poll\| poll: (\d+) of \1 checks as expected")
    run.ends(1, 3)  # nobody answers the pingers
    run.lacks(r"poll\| FAILURE")


# ---- Beside others, and again --------------------------------------------------------------------

def test_restart(boot):
    run = boot([guest("globals", "always", "restart=always,limit=2,backoff=1"),
                guest("xnow", "failing", "restart=on-failure,limit=2,backoff=1"),
                guest("fpu", "once", "restart=on-failure,limit=2,backoff=1")])
    for name, lives in (("always", 3), ("failing", 3), ("once", 1)):
        assert len(run.matches(rf"{name}\.0: stopped: ")) == lives
    assert run.of_guest("always").count("SUCCESS") == 3


def test_side_by_side(boot):
    """hvt guests and others on one core, with short slices: registers are each one's own."""
    run = boot([guest("fpu", f"hvt{i}", "", "ms=60") for i in range(3)] +
               [f'{image("witness")} native{i} cmdline="ms=60"' for i in range(2)] +
               [guest("time")], cpus=1, options="slice=100")
    run.ends(6, 6)


def test_operator(console):
    """A guest that sleeps in POLL for good is paused, looked at, stopped and started."""
    machine = open_monitor(console, [demo_guest("responder", "waits", "net:service0=lan", "n=1"),
                                     f'{image("hog")} hog cmdline="ms=1000000"'])
    assert facts(machine, "waits")["state"] == "running"
    assert any("frame" in line for line in command(machine, "info waits"))
    for verb, answer in (("pause", "paused"), ("resume", "runs on"), ("restart", "started anew"),
                         ("pause", "paused"), ("stop", "stopped"), ("start", "started")):
        assert command(machine, f"{verb} waits") == [f"waits: {answer}"]
    assert any(re.search(r"CR3 +0*2000\b", line) for line in command(machine, "regs waits"))
    assert command(machine, "stop waits") == ["waits: stopped"]
    assert facts(machine, "waits")["starts"] == "3"
