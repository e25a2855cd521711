# SPDX-License-Identifier: MIT
"""Reads iso/demos.conf, the one place where the demos are declared."""

import configparser
import dataclasses
import pathlib
import shlex

DECLARATIONS = pathlib.Path(__file__).resolve().parent / "demos.conf"


@dataclasses.dataclass
class Demo:
    name: str
    about: str
    cpus: int
    mem: int
    options: str
    good: int  # how many of the guests are to end with status 0
    guests: list  # "image.elf name key=value ...", the image by its name in build/guests/
    disks: list   # "image.img name": modules that are the disks of guests

    def guest_lines(self, build):
        """The guests as make_iso wants them, with the images' paths, and behind them the disks."""
        guests = pathlib.Path(build) / "guests"
        return [shlex.quote(str(guests / line.split(maxsplit=1)[0])) + line[len(line.split()[0]):]
                for line in self.guests + self.disks]


def read():
    """All demos, in the order in which they are declared."""
    parser = configparser.ConfigParser(interpolation=None, default_section="every demo",
                                       comment_prefixes=("#",), inline_comment_prefixes=None)
    parser.read_string(DECLARATIONS.read_text(), DECLARATIONS.name)
    return [_demo(parser[name]) for name in parser.sections()]


def named(name):
    """The demo of this name, or None."""
    return next((demo for demo in read() if demo.name == name), None)


def _demo(section):
    guests, disks = ([line for line in section[key].splitlines() if line]
                     for key in ("guests", "disks"))
    return Demo(section.name, section["about"], section.getint("cpus"), section.getint("mem"),
                section["options"], section.getint("good", fallback=len(guests)), guests, disks)
