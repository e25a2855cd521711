# SPDX-License-Identifier: MIT
"""How many VMREADs and VMWRITEs the operations of exit_costs.c cost: Bochs' debugger traces every
instruction between the marks around each.
"""

import pathlib
import re
import subprocess
import tempfile

import bochs
import machine
import make_iso

SECONDS = 300
INSTRUCTION = re.compile(r"^\(0\)\.\[.*?\] (?P<code>[0-9a-f:]+) .*?: (?P<words>[a-z].*)")


def traces(build, names, options="apicv=off"):
    """By name, the instructions of each operation: address (seg:offset) and words."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as directory:
        iso = pathlib.Path(directory) / "bench.iso"
        entry = make_iso.Entry("bench", make_iso.ends_by_itself(options),
                               [f"{build}/tests/bench/exit_costs.elf e mem=2M"])
        make_iso.make_iso(iso, build / "atoll.elf", [entry])
        words, environment = bochs.command(machine.Spec(iso=iso, cpus=1), directory, 0)
        settings = pathlib.Path(directory) / "bochsrc"
        settings.write_text(re.sub("(?m)^com1:.*", "magic_break: enabled=1", settings.read_text()))
        (pathlib.Path(directory) / "commands").write_text(
            "c\ntrace on\nc\ntrace off\n" * len(names) + "q\n")
        said = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=SECONDS, check=False,
                              errors="replace").stdout
    parts = said.split("Tracing enabled")[1:]
    return {name: [(match["code"], match["words"]) for line in part.splitlines()
                   if (match := INSTRUCTION.search(line))]
            for name, part in zip(names, parts)}


def counts(build, names):
    """By name: how many VMREADs and VMWRITEs."""
    return {name: tuple(sum(words.startswith(kind) for _, words in trace)
                        for kind in ("vmread", "vmwrite"))
            for name, trace in traces(build, names).items()}
