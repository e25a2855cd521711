# SPDX-License-Identifier: MIT
"""Makes the image that a machine boots: GRUB, the hypervisor and its guests, for BIOS and UEFI.

A guest is one string as on a `module2` line, "path/to/image name key=value ...". Quotes in it mean
what they mean to a shell, so `cmdline="a b"` is one word. GRUB passes a word with a blank on as
`"cmdline=a b"` and puts a backslash before quotes and backslashes; the hypervisor undoes that.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import demos
import signals
import verdict

HERE = pathlib.Path(__file__).resolve().parent
PLAIN_WORD = re.compile(r"[A-Za-z0-9_=.,:/@%+-]+")

# What GRUB's folder on the image holds beside these modules' dependencies. GRUB for UEFI looks for
# all kinds of partition tables and complains about each that is missing.
GRUB_MODULES = " ".join((
    "multiboot2", "normal", "test", "part_acorn", "part_amiga", "part_bsd", "part_dfly", "part_dvh",
    "part_plan", "part_sun", "part_sunpc"))

# A framebuffer for whoever asks GRUB for one. grub-mkrescue installs the same modules for BIOS and
# UEFI, and these are of UEFI only.
EFI_MODULES = [pathlib.Path("/usr/lib/grub/x86_64-efi") / f"{name}.mod"
               for name in ("efi_gop", "video_fb")]
MENU_TIMEOUT = 5
EMPTY_GUEST = 'an empty guest: write "path/to/image name key=value ..."'


class UsageError(Exception):
    """What the user asked for cannot be done: the message says what to change."""


@dataclasses.dataclass
class Entry:
    """One line of GRUB's menu: the hypervisor with its options and its guests."""
    title: str
    options: str = ""
    guests: list = dataclasses.field(default_factory=list)


def words(line, what):
    """The words of a guest's line or of the options, without their quotes."""
    if any(ord(c) < 0x20 and c != "\t" for c in line):
        raise UsageError(f"{what} {line!r}: holds a control character; write it on one line")
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{what} {line!r}: {error} (write \\' or \\\" for a bare quote)") from None


def ends_by_itself(options):
    """`options`, with power-off at the end unless they say otherwise: for emulators."""
    return options if "onidle=" in options else f"{options} onidle=poweroff".strip()


def reason(error):
    """What an OSError says, without its number."""
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text


def check_lines(options, guests):
    """Raises UsageError where the options or a guest's line cannot be read. Its image may still
    have to be built."""
    words(options, "options")
    for guest in guests:
        if words(guest, "guest")[:1] in ([], [""]):
            raise UsageError(EMPTY_GUEST)


def check_writable(path, option):
    """Raises UsageError where no file `path` can be written."""
    path = pathlib.Path(path)
    if not path.name or path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{option} {path}: you may not write there")


def grub_word(word):
    """`word` written so that GRUB's shell takes it as it is."""
    if PLAIN_WORD.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def guest_image(line):
    """The path of a guest's image and the words behind it."""
    path, *rest = words(line, "guest") or [""]
    image = pathlib.Path(path)
    if not path:
        raise UsageError(EMPTY_GUEST)
    if not image.is_file():
        raise UsageError(f"guest {line!r}: no file {path}")
    return image, rest


def menu(entries, place_guest):
    """The text of grub.cfg. `place_guest(image)` puts an image on the ISO and returns its path."""
    blocks = []
    for entry in entries:
        lines = [["multiboot2", "/boot/atoll.elf", *words(entry.options, "options")]]
        for guest in entry.guests:
            image, rest = guest_image(guest)
            lines.append(["module2", place_guest(image), *rest])
        body = "".join("    " + " ".join(map(grub_word, line)) + "\n" for line in lines)
        # multiboot2 has set gfxpayload from the header's framebuffer tag, that is to a mode that
        # GRUB likes best. The text mode, where there is one, is quicker to write to.
        body += '    if [ "$grub_platform" = pc ]; then set gfxpayload=text; fi\n'
        blocks.append(f"menuentry {grub_word(entry.title)} {{\n{body}}}\n")
    template = (HERE / "grub.cfg.in").read_text()
    timeout = MENU_TIMEOUT if len(entries) > 1 else 0
    return template.replace("@TIMEOUT@", str(timeout)).replace("@ENTRIES@", "\n".join(blocks))


def make_iso(output, hypervisor, entries):
    """Writes the image `output` that boots `hypervisor`, an ELF, with `entries` as GRUB's menu."""
    if not pathlib.Path(hypervisor).is_file():
        raise UsageError(f"no hypervisor at {hypervisor}: build it with `meson compile -C build`")
    with signals.folder("atoll-iso-") as directory:
        tree, scratch = pathlib.Path(directory) / "tree", pathlib.Path(directory) / "scratch"
        scratch.mkdir()
        (tree / "boot/grub").mkdir(parents=True)
        (tree / "boot/grub/x86_64-efi").mkdir()
        (tree / "guests").mkdir()
        for module in EFI_MODULES:
            if module.exists():
                shutil.copyfile(module, tree / "boot/grub/x86_64-efi" / module.name)
        shutil.copyfile(hypervisor, tree / "boot/atoll.elf")
        placed = {}

        def place_guest(image):
            if image not in placed:
                name = re.sub(r"[^A-Za-z0-9._-]", "_", image.name)
                placed[image] = f"/guests/{len(placed)}-{name}"
                shutil.copyfile(image, tree / placed[image].lstrip("/"))
            return placed[image]

        (tree / "boot/grub/grub.cfg").write_text(menu(entries, place_guest))
        command = ["grub-mkrescue", "--locales=", "--fonts=", "--themes=",
                   f"--install-modules={GRUB_MODULES}", "-o", str(output), str(tree)]
        # grub-mkrescue leaves its own temporary files behind when it is stopped: they go with ours.
        result = signals.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace",
                             env=dict(os.environ, TMPDIR=str(scratch)))
        if result.returncode != 0 or not pathlib.Path(output).is_file():
            raise UsageError(f"grub-mkrescue could not write {output}; its words:\n"
                             f"{result.stdout.strip()}")


def main():
    parser = argparse.ArgumentParser(
        prog="atoll iso", description="Makes an image that boots by BIOS and by UEFI.",
        allow_abbrev=False,
        usage="./atoll iso -o FILE [OPTION...] -- GUEST... (more: ./atoll help iso)")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the image to write")
    parser.add_argument("--opts", default="", metavar="OPTIONS", help="options of the hypervisor")
    parser.add_argument("--build", default="build", metavar="DIR",
                        help="where the hypervisor and the demos' guests were built")
    parser.add_argument("--demos", action="store_true",
                        help="all demos, each a menu entry, instead of GUESTs")
    parser.add_argument("--check", action="store_true",
                        help="only check the command line, before anything is built")
    parser.add_argument("guests", nargs="*", metavar="GUEST",
                        help='one string: "path/to/image name key=value ..."')
    arguments = parser.parse_args()
    if arguments.demos and arguments.guests:
        parser.error("--demos takes no guests: leave out either")
    if not arguments.demos and not arguments.guests:
        parser.error('name the guests after --, each "path/to/image name key=value ...", '
                     'or --demos')
    if arguments.demos:
        entries = [Entry(f"{demo.name}: {demo.about}", f"{demo.options} {arguments.opts}",
                         demo.guest_lines(arguments.build)) for demo in demos.read()]
    else:
        entries = [Entry("Atoll", arguments.opts, arguments.guests)]
    try:
        signals.unwind()
        check_lines(arguments.opts, arguments.guests)
        check_writable(arguments.output, "-o")
        if not arguments.check:
            make_iso(arguments.output, pathlib.Path(arguments.build) / "atoll.elf", entries)
    except (UsageError, OSError) as error:
        print(f"atoll iso: {error if isinstance(error, UsageError) else reason(error)}",
              file=sys.stderr)
        return verdict.WRONG_USAGE
    except KeyboardInterrupt:
        print("\natoll iso: interrupted", file=sys.stderr)
        return verdict.INTERRUPTED
    return verdict.GOOD


if __name__ == "__main__":
    sys.exit(main())
