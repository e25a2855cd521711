# SPDX-License-Identifier: MIT
"""Lets a program end cleanly by Ctrl-C and its like: whatever it holds is unwound.

`./atoll` starts Python with these signals blocked, so that one that comes early neither shows where
Python's imports were nor is lost: it is delivered here.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_SECONDS = 10  # for a child to clean up


def unwind():
    """From here on each of them raises KeyboardInterrupt."""
    for number in ENDING:
        signal.signal(number, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


@contextlib.contextmanager
def folder(prefix, parent=None):
    """A temporary folder: one of these signals neither leaves it behind nor a part of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    path = tempfile.mkdtemp(prefix=prefix, dir=parent)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield path
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        shutil.rmtree(path, ignore_errors=True)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(words, end_by=signal.SIGKILL, **keywords):
    """subprocess.run(), whose child takes its own children along when we are interrupted: they are
    a process group, which gets the signal `end_by` and, when it had its time, SIGKILL."""
    with subprocess.Popen(words, process_group=0, **keywords) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                os.killpg(process.pid, end_by)
                process.wait(END_SECONDS)
            with contextlib.suppress(OSError):  # of a group that has ended
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(words, process.returncode, output)
