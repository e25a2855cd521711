# SPDX-License-Identifier: MIT
"""Writes a disk image: each block says which it is, as guests/hvt/disk.h expects."""

import pathlib
import sys

BLOCK_SIZE, BLOCKS = 512, 64


def block(number):
    return f"block {number} of {BLOCKS}\n".ljust(BLOCK_SIZE, ".").encode()


pathlib.Path(sys.argv[1]).write_bytes(b"".join(map(block, range(BLOCKS))))
