# SPDX-License-Identifier: MIT
"""Boots an image in an emulator and hands its serial console on, line by line, as it comes.

Nothing here has a fixed name or port, so runs beside each other do not meet. The emulator ends
with the run, however that ends.
"""

import ctypes
import dataclasses
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import bochs
import qemu
from verdict import HYPERVISOR_FAILED, TIMEOUT, Verdict

# The program of each machine, and Debian's package of it.
PROGRAMS = {"bochs": ("bochs", "bochs"), "qemu": ("qemu-system-x86_64", "qemu-system-x86")}
# How long an emulator may go on after the hypervisor's last word (it does with onidle=halt).
GRACE_SECONDS = 5
# What a firmware paints on the serial console.
TERMINAL_CONTROLS = re.compile(rb"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()].|.)|[\x00-\x08\x0b-\x1f\x7f]")
PR_SET_PDEATHSIG = 1


@dataclasses.dataclass
class Spec:
    """The machine to boot. Memory in MiB, the timeout in seconds (0: none)."""
    iso: pathlib.Path
    machine: str = "bochs"
    cpus: int = 2
    mem: int = 256
    cpu_model: str = ""
    uefi: bool = False
    timeout: float = 0


@dataclasses.dataclass
class Result:
    """How the run ended: the exit status, the serial console, and what went wrong, if anything."""
    status: int
    lines: list
    elapsed: float
    complaint: str = ""
    ended: tuple = None  # (guests that ended with status 0, guests), if the hypervisor said so

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)


def best():
    """The machine that runs VMX fastest here."""
    return "qemu" if qemu.vmx_usable() and shutil.which("qemu-system-x86_64") else "bochs"


def wrong(spec):
    """What cannot be asked of this machine, or None."""
    if spec.cpus < 1:
        return f"--cpus {spec.cpus}: at least 1 is needed"
    if spec.mem < 32:
        return f"--mem {spec.mem}: at least 32 MiB are needed"
    if spec.machine == "bochs":
        if spec.cpus > bochs.MAX_CPUS:
            return f"--cpus {spec.cpus}: Bochs has at most {bochs.MAX_CPUS}; try --machine qemu"
        if spec.uefi:
            return "--uefi: Bochs has no UEFI firmware; try --machine qemu"
    elif spec.cpus > qemu.MAX_CPUS:
        return f"--cpus {spec.cpus}: QEMU has at most {qemu.MAX_CPUS}"
    return None


def missing(spec):
    """What this host lacks for the machine, or None."""
    program, package = PROGRAMS[spec.machine]
    if not shutil.which(program):
        return f"--machine {spec.machine}: {program} is not here; install the package {package}"
    if spec.machine == "bochs" and spec.cpu_model and spec.cpu_model not in bochs.models():
        return f"--cpu-model {spec.cpu_model}: Bochs has {' '.join(bochs.models())}"
    # Behind a comma QEMU takes features, as in "max,-vmx".
    if spec.machine == "qemu" and spec.cpu_model \
            and spec.cpu_model.split(",")[0] not in qemu.models():
        return f"--cpu-model {spec.cpu_model}: QEMU has no such model; " \
               "`qemu-system-x86_64 -cpu help` lists them"
    if spec.uefi and not qemu.OVMF.exists():
        return f"--uefi: no {qemu.OVMF}; install the package ovmf"
    return None


def boot(spec, on_line=lambda line: None, scratch=None):
    """Boots `spec`, calls `on_line` with each line of the serial console, returns a Result.

    The emulator's files are kept, and the result says where, when it was the emulator or the
    hypervisor that failed. `scratch` is the directory in which they are made."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="atoll-run-", dir=scratch))
    spec = dataclasses.replace(spec, iso=pathlib.Path(spec.iso).resolve())
    keep = False
    try:
        result, keep = _boot(spec, directory, on_line)
        if keep:
            (directory / "serial.txt").write_text(result.text)
            result.complaint += f" (its files are in {directory})"
        return result
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def _boot(spec, directory, on_line):
    """The run itself. Returns the result and whether the emulator's files are worth keeping."""
    start = time.monotonic()
    console = _Console(on_line)
    with _Emulator(spec, directory) as emulator:
        timed_out = _pump(emulator, console, start + spec.timeout if spec.timeout else None)
    elapsed = time.monotonic() - start

    name = "Bochs" if spec.machine == "bochs" else "QEMU"
    verdict = console.verdict
    status, complaint = verdict.status, ""
    if spec.machine == "bochs" and (panic := bochs.complaint(directory)):
        status, complaint = HYPERVISOR_FAILED, f"{name} panicked: {panic}"
    elif timed_out:
        status, complaint = TIMEOUT, f"no end after {spec.timeout:g} s: {name} was stopped"
    elif verdict.panicked:
        complaint = "the hypervisor panicked"
    elif status is None:
        status, complaint = HYPERVISOR_FAILED, f"{name} ended without a word of how it went"
    if complaint and not console.lines and emulator.said.strip():
        complaint += "; its last words:\n" + emulator.last_words() + "\n"
    return Result(status, console.lines, elapsed, complaint, verdict.ended), bool(complaint)


def _pump(emulator, console, deadline):
    """Moves bytes until the emulator has ended. Returns True when it had to be stopped at the
    deadline; one that goes on after the hypervisor's last word is stopped and is no failure."""
    grace = None
    while True:
        limits = [limit for limit in (deadline, grace) if limit is not None]
        wait = min([0.5] + [limit - time.monotonic() for limit in limits])
        if wait <= 0:
            console.end()
            return console.verdict.status is None
        ended = emulator.ended()
        data = emulator.read(0 if ended else wait)
        console.feed(data)
        if ended and not data:
            console.end()
            return False
        if grace is None and console.verdict.status is not None:
            grace = time.monotonic() + GRACE_SECONDS


class _Console:
    """The serial console: bytes in, lines out."""

    def __init__(self, on_line):
        self.lines = []
        self.verdict = Verdict()
        self.rest = b""
        self.on_line = on_line

    def feed(self, data):
        *whole, self.rest = (self.rest + data).split(b"\n")
        for line in whole:
            self._line(line)

    def end(self):
        if self.rest:
            self._line(self.rest)
            self.rest = b""

    def _line(self, data):
        line = TERMINAL_CONTROLS.sub(b"", data).decode("utf-8", "replace")
        self.lines.append(line)
        self.verdict.feed(line)
        self.on_line(line)


class _Emulator:
    """The emulator's process. Bochs writes the serial console into a FIFO and paints its screen on
    a terminal of its own; QEMU writes the console to its standard output."""

    def __init__(self, spec, directory):
        self.said = b""
        self.open = []
        if spec.machine == "bochs":
            fifo = directory / "serial"
            os.mkfifo(fifo)
            self.serial = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            self.screen, terminal = pty.openpty()
            self.open += [self.serial, self.screen]
            words, environment = bochs.command(spec, directory, fifo)
            self.process = _start(words, environment, terminal, terminal, terminal)
            os.close(terminal)
        else:
            words, environment = qemu.command(spec)
            self.process = _start(words, environment, subprocess.DEVNULL, subprocess.PIPE,
                                  subprocess.PIPE)
            self.serial = self.process.stdout.fileno()
            self.screen = self.process.stderr.fileno()
        os.set_blocking(self.serial, False)
        os.set_blocking(self.screen, False)
        self.sources = {self.serial, self.screen}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for descriptor in self.open:
            os.close(descriptor)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def ended(self):
        return self.process.poll() is not None

    def read(self, seconds):
        """Waits so long for output; returns what came from the serial console."""
        # A FIFO without a writer is always "ready": before Bochs opens it there is nothing to wait
        # for, so poll() with only POLLIN, which reports a hang-up just once a writer has been.
        poller = select.poll()
        for source in self.sources:
            poller.register(source, select.POLLIN)
        data = b""
        for source, _ in poller.poll(seconds * 1000):
            chunk = self._read(source)
            if source == self.serial:
                data = chunk
            else:
                self.said = (self.said + chunk)[-4096:]
        return data

    def _read(self, source):
        try:
            chunk = os.read(source, 65536)
        except BlockingIOError:
            return b""
        except OSError:  # a terminal whose other side is closed
            chunk = b""
        if not chunk:
            self.sources.discard(source)
        return chunk

    def last_words(self):
        text = TERMINAL_CONTROLS.sub(b"", self.said.replace(b"\r", b"\n"))
        lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines()]
        return "\n".join("  " + line for line in lines[-20:] if line.strip("= "))


def _start(words, environment, stdin, stdout, stderr):
    libc = ctypes.CDLL(None)

    def die_with_parent():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    # A session of its own: Ctrl-C in the user's terminal is for us, and we stop the emulator.
    return subprocess.Popen(words, env=environment, stdin=stdin, stdout=stdout, stderr=stderr,
                            start_new_session=True, preexec_fn=die_with_parent)
