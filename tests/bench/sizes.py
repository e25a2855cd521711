# SPDX-License-Identifier: MIT
"""What is counted without a boot: the hypervisor's sections, and lines of code by folder."""

import re
import subprocess

COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.DOTALL | re.MULTILINE)
LINE_COMMENT = {".asm": ";", ".py": "#"}
C = (".c", ".h", ".def")


def sections(elf):
    """The sizes of an ELF's sections in KiB, by name."""
    said = subprocess.run(["size", "-A", elf], text=True, capture_output=True, check=True).stdout
    return {words[0]: int(words[1]) / 1024 for line in said.splitlines()
            if (words := line.split()) and words[0].startswith(".")}


def lines_of(path):
    """Lines that are neither blank nor a comment; a docstring is code."""
    text = path.read_text()
    if path.suffix in C:
        text = COMMENT.sub("", text)
    mark = LINE_COMMENT.get(path.suffix, "\n")
    return sum(not line.startswith(mark) for line in map(str.strip, text.splitlines()) if line)


FOLDERS = ("kernel", "vmx", "drivers", "include", "guests", "iso", "tools", "tests")


def lines(root):
    """Lines of code by folder of the tree."""
    return {folder: sum(lines_of(path) for path in sorted((root / folder).rglob("*"))
                        if path.suffix in (*C, *LINE_COMMENT))
            for folder in FOLDERS}
