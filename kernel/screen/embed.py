# SPDX-License-Identifier: MIT
"""Writes a console font, unpacked, as C: embed.py FONT.psf.gz OUTPUT.c"""

import gzip
import pathlib
import sys

font = gzip.decompress(pathlib.Path(sys.argv[1]).read_bytes())
rows = (font[at:at + 24] for at in range(0, len(font), 24))
text = "".join("    " + ", ".join(map(str, row)) + ",\n" for row in rows)
pathlib.Path(sys.argv[2]).write_text(
    '#include "kernel/screen/font.h"\n\n'
    f"const uint8_t screen_font[] = {{\n{text}}};\n"
    "const size_t screen_font_size = sizeof screen_font;\n")
