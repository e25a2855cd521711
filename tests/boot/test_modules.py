# SPDX-License-Identifier: MIT
"""Bad modules: each is refused with a line that says why, and the good guest beside it runs."""

import pathlib
import struct

import pytest

from harness import image

PROGRAM_HEADERS_AT = 32  # e_phoff, e_phentsize, e_phnum of a 64-bit ELF header
PROGRAM_HEADER_SIZE_AT = 54
PT_LOAD = 1
EXECUTABLE, WRITABLE = 1, 2


def truncated(elf):
    return elf[:5000]  # in the middle of the text


def headless(elf):
    return elf[:40]


def no_elf(_):
    return b"#!/bin/sh\necho I am a script\n" * 20


def write_and_execute(elf):
    """Makes the executable segment writable."""
    changed = bytearray(elf)
    start, = struct.unpack_from("<Q", elf, PROGRAM_HEADERS_AT)
    size, count = struct.unpack_from("<HH", elf, PROGRAM_HEADER_SIZE_AT)
    for at in range(start, start + size * count, size):
        kind, flags = struct.unpack_from("<II", elf, at)
        if kind == PT_LOAD and flags & EXECUTABLE:
            struct.pack_into("<I", changed, at + 4, flags | WRITABLE)
    return bytes(changed)


def boot_beside_good_guests(boot, bad):
    """Boots the guest `bad` between two good ones, which have to end well."""
    run = boot([f"{image('hello')} first", bad, f"{image('hello')} last"])
    run.ends(2, 3)
    for name in ("first", "last"):
        run.has(rf"{name}\| good-bye")
    return run


@pytest.mark.parametrize("damage, words", [
    (truncated, r"outside the file"),
    (headless, r"shorter than an ELF header"),
    (no_elf, r"not an ELF file"),
    (write_and_execute, r"writable and executable"),
])
def test_bad_image(boot, tmp_path, damage, words):
    bad = tmp_path / "bad.elf"
    bad.write_bytes(damage(pathlib.Path(image("hello")).read_bytes()))
    run = boot_beside_good_guests(boot, f"{bad} bad")
    run.has(rf" bad: refused: .*{words}")


@pytest.mark.parametrize("keys, words", [
    ("mem=64G", r"mem"),
    ("mem=lots", r"mem=lots"),
    ("colour=blue", r"colour"),
    ("vcpus=65", r"vcpus=65"),
    ("vcpus=0", r"vcpus=0"),
    ("mem=4M mem=8M", r"mem"),
])
def test_bad_key(boot, keys, words):
    run = boot_beside_good_guests(boot, f"{image('hello')} bad {keys}")
    run.has(rf" bad: refused: .*{words}")


def test_duplicate_name(boot):
    run = boot([f"{image('hello')} twin", f"{image('hello')} twin", f"{image('hello')} other"])
    run.ends(2, 3)
    run.has(r" twin: refused: .*twin")


def test_no_name(boot):
    run = boot_beside_good_guests(boot, image("hello"))
    run.has(r": refused: .*name")


def test_no_module(boot):
    run = boot([])
    run.ends(0, 0)
    assert run.status == 1


def test_command_line_arrives_as_typed(boot):
    typed = "it's \"quoted\", a $dollar, a \\ backslash; {braces}"
    quoted = typed.replace("\\", "\\\\").replace('"', '\\"')
    run = boot([f'{image("hello")} g cmdline="{quoted}"'])
    run.ends(1, 1)
    if not any(f'command line: "{typed}"' in line for line in run.of_guest("g")):
        run.fail(f"the guest's command line is not {typed!r}")


def test_long_line_costs_a_page_more(boot):
    """What a line asks for lies behind the guest's record: in one page if it is short."""
    text = "".join(f"{n}," for n in range(130))
    all_links = " ".join(f"link=l{i}" for i in range(8))
    run = boot([f'{image("hello")} short', f'{image("hello")} long cmdline={text}',
                f'{image("hello")} longest vcpus=64 {all_links} cmdline={text}'])
    run.ends(3, 3)
    run.has(r"short: created: .*; 32 KiB of the hypervisor's")
    run.has(r"long: created: .*; 36 KiB of the hypervisor's")
    for guest in ("long", "longest"):
        if f'command line: "{text}"' not in "".join(run.of_guest(guest)):
            run.fail(f"the command line of {guest} did not arrive")
