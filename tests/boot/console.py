# SPDX-License-Identifier: MIT
"""A machine that runs while a test types at its serial console and reads what it answers.

It is one of pexpect's objects, for bytes: expect(), before, match and the rest are as they are
there. What the machine writes never waits for the test."""

import os
import queue
import threading

import pytest
from pexpect import EOF, TIMEOUT
from pexpect.spawnbase import SpawnBase

from harness import Run  # first: it says where the next one is

import machine

ENTER = b"\r"


class Console(SpawnBase):
    """`lines` are the whole lines so far, without terminal controls, `raw` the bytes as they
    came."""

    def __init__(self, spec, scratch, timeout=240):
        super().__init__(timeout=timeout)
        self.lines = []
        self.raw = b""
        self.arrived = queue.SimpleQueue()  # bytes; None at the end
        self.result = self.error = None
        self.stop = threading.Event()
        source, self.keys = os.pipe()
        self.thread = threading.Thread(target=self._boot, args=(spec, scratch, source), daemon=True)
        self.closed = False
        self.thread.start()

    def _boot(self, spec, scratch, source):
        try:
            self.result = machine.boot(spec, self.lines.append, scratch, keys=source,
                                       on_bytes=self._keep, stop=self.stop)
        except Exception as error:  # said by the test's thread
            self.error = error
        finally:
            os.close(source)
            self.arrived.put(None)

    def _keep(self, data):
        self.raw += data
        self.arrived.put(data)

    def read_nonblocking(self, size=1, timeout=None):
        """For pexpect: what has arrived, all of it."""
        try:
            data = self.arrived.get(timeout=self.timeout if timeout == -1 else timeout)
        except queue.Empty:
            raise TIMEOUT("nothing came") from None
        if data is None:
            self.arrived.put(None)  # the end stays the end
            self.flag_eof = True
            raise EOF("the machine has ended")
        return data

    def expect_list(self, pattern_list, timeout=-1, searchwindowsize=-1, async_=False, **_):
        try:
            return super().expect_list(pattern_list, timeout, searchwindowsize)
        except (EOF, TIMEOUT) as error:
            wanted = " or ".join(str(getattr(one, "pattern", one)) for one in pattern_list)
            self.fail(f"{type(error).__name__} before {wanted}")

    def send(self, data):
        """Types bytes (or ASCII)."""
        data = data.encode("ascii") if isinstance(data, str) else data
        while data:
            data = data[os.write(self.keys, data):]

    def sendline(self, line=b""):
        """Types a line and Enter."""
        self.send(line)
        self.send(ENTER)

    def fail(self, message):
        if self.error:
            message += f": {self.error}"
        pytest.fail(f"{message}\n--- serial console\n" + "\n".join(self.lines) +
                    f"\n--- the last bytes\n{self.raw[-400:]}\n---", pytrace=False)

    def isalive(self):
        return self.thread.is_alive()

    def ends(self, timeout=60):
        """Waits until the machine ends by itself; returns the Run."""
        self.thread.join(timeout)
        if self.thread.is_alive():
            self.fail(f"the machine still runs after {timeout} s")
        if self.error:
            self.fail("the run failed")
        return Run(self.result)

    def close(self):
        """Stops the machine if it still runs."""
        if self.closed:
            return
        self.closed = True
        self.stop.set()
        os.close(self.keys)
        self.thread.join()
