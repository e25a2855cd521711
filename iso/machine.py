# SPDX-License-Identifier: MIT
"""Boots an image in an emulator and hands its serial console on as it comes, and keys to it.

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
import socket
import stat
import subprocess
import tempfile
import time
import tty

import bochs
import qemu
from verdict import HYPERVISOR_FAILED, STAMP, TIMEOUT, Verdict

# The program of each machine, and Debian's package of it.
PROGRAMS = {"bochs": ("bochs", "bochs"), "qemu": ("qemu-system-x86_64", "qemu-system-x86")}
# How long an emulator may go on after the hypervisor's last word (it does with onidle=halt), when
# nobody types any more.
GRACE_SECONDS = 5
# What a firmware paints on the serial console.
TERMINAL_CONTROLS = re.compile(rb"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()].|.)|[\x00-\x08\x0b-\x1f\x7f]")
# What stands before it in a line is not on the screen any more: a prompt that made room.
ERASE_LINE = b"\r\x1b[K"
STAMPED = re.compile(STAMP)
KEYS_AHEAD = 4096  # bytes that were typed and that the machine has not taken
LAST_WORDS_SECONDS = 1  # what an emulator wrote may take to come when it has ended
SYS_PIDFD_GETFD = 438   # on all architectures
PAINTING = re.compile(rb'Bochs connected to screen "(/dev/[^"]+)"')
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


@dataclasses.dataclass
class Spec:
    """The machine to boot. Memory in MiB, the timeout in seconds (0: none). `trace` is the file
    that gets what goes out of the second serial port; without it there is no such port. In a
    `paced` machine time does not pass faster than in the world."""
    iso: pathlib.Path
    machine: str = "bochs"
    cpus: int = 2
    mem: int = 256
    cpu_model: str = ""
    uefi: bool = False
    timeout: float = 0
    trace: pathlib.Path = None
    paced: bool = False


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


def boot(spec, on_line=lambda line: None, scratch=None, keys=None, on_bytes=lambda data: None,
         stop=None):
    """Boots `spec`, calls `on_line` with each line of the serial console, returns a Result.

    `keys` is a file descriptor: what can be read from it is typed at the machine from the
    hypervisor's first line on (firmware and boot loader would eat it). `on_bytes` gets the serial
    console as it is, terminal controls and all. `stop`, a threading.Event, ends the run: it is
    looked at every half a second and when keys come or end.

    The emulator's files are kept, and the result says where, when it was the emulator or the
    hypervisor that failed. `scratch` is the directory in which they are made."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="atoll-run-", dir=scratch))
    spec = dataclasses.replace(spec, iso=pathlib.Path(spec.iso).resolve())
    if spec.trace:
        spec.trace = pathlib.Path(spec.trace).resolve()
        spec.trace.write_bytes(b"")  # Bochs makes the file only when something is written
    keep = False
    try:
        result, keep = _boot(spec, directory, _Console(on_line, on_bytes), _Keys(keys), stop)
        if keep:
            (directory / "serial.txt").write_text(result.text)
            result.complaint += f" (its files are in {directory})"
        return result
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def _boot(spec, directory, console, keys, stop):
    """The run itself. Returns the result and whether the emulator's files are worth keeping."""
    start = time.monotonic()
    with _Emulator(spec, directory) as emulator:
        timed_out = _pump(emulator, console, keys, stop,
                          start + spec.timeout if spec.timeout else None)
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
    elif status is None and not (stop and stop.is_set()):
        status, complaint = HYPERVISOR_FAILED, f"{name} ended without a word of how it went"
    if complaint and not console.lines and emulator.said.strip():
        complaint += "; its last words:\n" + emulator.last_words() + "\n"
    return Result(status, console.lines, elapsed, complaint, verdict.ended), bool(complaint)


def _pump(emulator, console, keys, stop, deadline):
    """Moves bytes until the emulator has ended or is to stop. Returns True when it had to be
    stopped at the deadline; one that goes on after the hypervisor's last word is stopped and is no
    failure."""
    grace = ended_at = None
    while not (stop and stop.is_set()):
        limits = [limit for limit in (deadline, grace) if limit is not None]
        wait = min([0.5] + [limit - time.monotonic() for limit in limits])
        if wait <= 0:
            console.end()
            return console.verdict.status is None
        if emulator.ended() and ended_at is None:
            ended_at = time.monotonic()
            emulator.hang_up()
        all_read = ended_at is not None and (
            emulator.is_silent() or time.monotonic() > ended_at + LAST_WORDS_SECONDS)
        data = emulator.turn(0 if all_read else wait, keys)
        console.feed(data)
        keys.heard = keys.heard or console.hypervisor_runs
        if all_read and not data:
            break
        status = console.verdict.status
        done = status == HYPERVISOR_FAILED or (status is not None and keys.source is None)
        if grace is None and done:
            grace = time.monotonic() + GRACE_SECONDS
    console.end()
    return False


class _Console:
    """The serial console: bytes in, lines out."""

    def __init__(self, on_line, on_bytes):
        self.lines = []
        self.verdict = Verdict()
        self.hypervisor_runs = False
        self.rest = b""
        self.on_line = on_line
        self.on_bytes = on_bytes

    def feed(self, data):
        if data:
            self.on_bytes(data)
        *whole, self.rest = (self.rest + data).split(b"\n")
        for line in whole:
            self._line(line)

    def end(self):
        if self.rest:
            self._line(self.rest)
            self.rest = b""

    def _line(self, data):
        shown = data.rpartition(ERASE_LINE)[2]
        line = TERMINAL_CONTROLS.sub(b"", shown).decode("utf-8", "replace")
        self.hypervisor_runs = self.hypervisor_runs or STAMPED.match(line) is not None
        self.lines.append(line)
        self.verdict.feed(line)
        self.on_line(line)


class _Keys:
    """What is typed and not yet taken by the machine, which does not listen before it was heard."""

    def __init__(self, source):
        self.source = source
        self.typed = b""
        self.heard = False

    def read(self):
        try:
            chunk = os.read(self.source, KEYS_AHEAD)
        except OSError:  # a terminal that is gone
            chunk = b""
        self.typed += chunk
        if not chunk:
            self.source = None

    def wanted(self):
        return self.source is not None and len(self.typed) < KEYS_AHEAD

    def write(self, descriptor):
        try:
            self.typed = self.typed[os.write(descriptor, self.typed):]
        except BlockingIOError:
            pass
        except OSError:  # the machine is gone
            self.typed, self.source = b"", None


class _Emulator:
    """The emulator's process. Bochs connects its serial console to a socket of ours and paints its
    screen on a terminal of its own; QEMU has the console on its standard input and output."""

    def __init__(self, spec, directory):
        self.said = b""
        self.listener = self.connection = self.twin = None
        self.painting = None  # the terminal on which Bochs paints
        self.serial = self.keyboard = None  # descriptors of the serial console, out and in
        if spec.machine == "bochs":
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=1)
            self.screen, terminal = pty.openpty()
            words, environment = bochs.command(spec, directory, self.listener.getsockname()[1])
            self.process = _start(words, environment, terminal, terminal, terminal)
            os.close(terminal)
        else:
            words, environment = qemu.command(spec)
            self.process = _start(words, environment, subprocess.PIPE, subprocess.PIPE,
                                  subprocess.PIPE)
            self.serial, self.keyboard, self.screen = (
                stream.fileno() for stream in self._streams())
            os.set_blocking(self.serial, False)
            os.set_blocking(self.keyboard, False)
        os.set_blocking(self.screen, False)
        self.sources = {self.serial, self.screen} - {None}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if not self._streams():
            os.close(self.screen)
        if self.painting is not None:
            os.close(self.painting)
        for holder in (self.listener, self.connection, self.twin, *self._streams()):
            if holder:
                holder.close()

    def _streams(self):
        process = self.process
        return [stream for stream in (process.stdout, process.stdin, process.stderr) if stream]

    def ended(self):
        return self.process.poll() is not None

    def hang_up(self):
        """When it has ended: nothing more is written to the serial console."""
        if self.twin:
            self.twin.shutdown(socket.SHUT_WR)

    def is_silent(self):
        """Whether nothing can come from the serial console any more, if the emulator has ended."""
        return self.serial not in self.sources

    def turn(self, seconds, keys):
        """Waits so long for output or keys, and moves both; returns what came from the serial
        console."""
        poller = select.poll()
        for source in self.sources:
            poller.register(source, select.POLLIN)
        if self.listener:
            poller.register(self.listener, select.POLLIN)
        if keys.wanted():
            poller.register(keys.source, select.POLLIN)
        types = keys.heard and keys.typed and self.keyboard is not None
        if types:
            reads = select.POLLIN if self.keyboard in self.sources else 0
            poller.register(self.keyboard, select.POLLOUT | reads)

        ready = dict(poller.poll(seconds * 1000))
        if self.listener and self.listener.fileno() in ready:
            self._accept()
            if keys.source is not None:
                self.twin = self._twin()
            ready[self.serial] = select.POLLIN
        if keys.source in ready:
            keys.read()
        if types and self.keyboard in ready and ready[self.keyboard] != select.POLLIN:
            keys.write(self.keyboard)
        if self.screen in ready:
            self.said = (self.said + self._read(self.screen))[-4096:]
            if self.painting is None:
                self._look_at_painting()
        if self.painting in ready:
            self._read(self.painting)
        return self._read(self.serial) if self.serial in ready else b""

    def _look_at_painting(self):
        """Bochs makes that terminal itself, says its name, and waits for whoever should look at it
        as soon as it is full."""
        if found := PAINTING.search(self.said):
            self.painting = os.open(found[1], os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(self.painting)
            self.sources.add(self.painting)

    def _accept(self):
        self.connection, _ = self.listener.accept()
        self.listener.close()
        self.listener = None
        self.connection.setblocking(False)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.serial = self.keyboard = self.connection.fileno()
        self.sources.add(self.serial)

    def _twin(self):
        """A descriptor of Bochs' end of the connection, or None where the host forbids that.

        When Bochs ends with keys unread the kernel resets the connection, and drops what Bochs has
        written and is not yet sent: the hypervisor's last words. With us it stays open."""
        try:
            with open(os.pidfd_open(self.process.pid), "rb", buffering=0) as process:
                for name in os.listdir(f"/proc/{self.process.pid}/fd"):
                    descriptor = LIBC.syscall(SYS_PIDFD_GETFD, process.fileno(), int(name), 0)
                    if _is_socket(descriptor):
                        twin = socket.socket(fileno=descriptor)
                        if twin.getsockname() == self.connection.getpeername():
                            return twin
                        twin.close()
                    elif descriptor >= 0:
                        os.close(descriptor)
        except OSError:  # it has ended already
            pass
        return None

    def _read(self, source):
        try:
            chunk = os.read(source, 65536)
        except BlockingIOError:
            return b""
        except OSError:  # a terminal whose other side is closed
            chunk = b""
        if not chunk:
            self.sources.discard(source)
        elif self.connection and source == self.serial:
            # Bochs sends each byte alone, and the next ones only when we have acknowledged it.
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return chunk

    def last_words(self):
        text = TERMINAL_CONTROLS.sub(b"", self.said.replace(b"\r", b"\n"))
        lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines()]
        return "\n".join("  " + line for line in lines[-20:] if line.strip("= "))


def _is_socket(descriptor):
    return descriptor >= 0 and stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def _start(words, environment, stdin, stdout, stderr):
    def die_with_parent():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    # A session of its own: Ctrl-C in the user's terminal is for us, and we stop the emulator.
    return subprocess.Popen(words, env=environment, stdin=stdin, stdout=stdout, stderr=stderr,
                            start_new_session=True, preexec_fn=die_with_parent)
