# SPDX-License-Identifier: MIT
"""Starts Bochs without a window, and tells from its log whether the run counts.

The settings hide nothing: a triple fault of the host ends the run, a missing MSR is #GP, and a
panic of Bochs is fatal. Time is simulated, so a run on one core repeats exactly; when nothing runs
it flies, which is no good for a person at the keys: then it waits for the real time.

The first serial port is a TCP connection. A pseudo-terminal (mode=term) loses bytes: Bochs 2.7
writes it without waiting, and reads it when the FIFO of the port is full.
"""

import os
import pathlib
import re
import subprocess

MODEL = "corei7_skylake_x"
MAX_CPUS = 15         # with 16 the BIOS panics: too many registered timers
MAX_HOST_MIB = 2048   # more of the machine's memory than this is kept in a file
CLOCK = 1767225600    # 2026-01-01 00:00 UTC: what the machine's clock says, in every run

CONFIGURATION = """\
config_interface: textconfig
display_library: term
cpu: model={model}, count={cpus}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest={mem}, host={host_mem}
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
pci: enabled=1, chipset=i440fx
ata0-master: type=cdrom, path="{iso}", status=inserted
boot: cdrom
clock: sync={sync}, time0={clock}
com1: enabled=1, mode=socket-client, dev="127.0.0.1:{port}"
{com2}
sound: driver=dummy
speaker: enabled=0
mouse: enabled=0
log: "{log}"
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
"""

# The log marks a panic by a `p` behind the time. Port 0x8900 ends Bochs by one, which is wanted.
LOG_PANIC = re.compile(r"\d+p\[.*|.*(?:>>PANIC<<|3rd \(\d+\) exception).*")
LOG_SHUTDOWN = "Shutdown port: shutdown requested"


def models():
    """The CPU models that this Bochs simulates."""
    result = subprocess.run(["bochs", "--help", "cpu"], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return re.findall(r"^[a-z][a-z0-9_]+$", result.stdout, re.MULTILINE)


def command(spec, directory, port):
    """Writes the configuration into `directory`; returns the command and its environment. Bochs
    connects its first serial port to the TCP `port` of this host."""
    directory = pathlib.Path(directory)
    (directory / "bochsrc").write_text(CONFIGURATION.format(
        model=spec.cpu_model or MODEL, cpus=spec.cpus, mem=spec.mem,
        host_mem=min(spec.mem, MAX_HOST_MIB), iso=spec.iso, clock=CLOCK, port=port,
        com2=f'com2: enabled=1, mode=file, dev="{spec.trace}"' if spec.trace else "",
        sync="slowdown" if spec.paced else "none", log=directory / "bochs.log"))
    # Debian's Bochs has the debugger in it, which waits for a command: continue, then quit.
    (directory / "commands").write_text("c\nq\n")
    environment = dict(os.environ, TERM="linux", LINES="30", COLUMNS="90", TZ="UTC")
    return ["bochs", "-q", "-f", str(directory / "bochsrc"), "-rc", str(directory / "commands")], \
        environment


def complaint(directory):
    """The first panic in the log, or None."""
    log = pathlib.Path(directory) / "bochs.log"
    if not log.exists():
        return "Bochs did not start"
    with log.open(errors="replace") as lines:
        for line in lines:
            if LOG_SHUTDOWN not in line and LOG_PANIC.match(line):
                return line.strip()
    return None
