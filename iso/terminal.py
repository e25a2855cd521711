# SPDX-License-Identifier: MIT
"""The user's terminal while they type at the machine: each key is passed on as it is pressed, what
the machine writes is shown as it is. Ctrl-C and Ctrl-Z keep their meaning."""

import os
import signal
import sys
import termios

# A machine that is stopped in the middle of a screen leaves colours behind, or a hidden cursor.
PLAIN_AGAIN = b"\x1b[0m\x1b[?25h"
INPUT, OUTPUT, LOCAL, KEYS = 0, 1, 3, 6  # the places in what termios.tcgetattr() returns


def usable():
    """Whether a person sits there: both sides are terminals, and this is no background job."""
    try:
        return sys.stdin.isatty() and sys.stdout.isatty() and _in_foreground()
    except (AttributeError, OSError, ValueError):  # no standard input, or one that was closed
        return False


class Terminal:
    """As a context manager: the terminal belongs to the machine, and afterwards is what it was."""

    def __init__(self):
        self.input, self.output = sys.stdin.fileno(), sys.stdout.fileno()
        self.in_line = False

    def __enter__(self):
        self.saved = termios.tcgetattr(self.input)
        self.raw = termios.tcgetattr(self.input)
        self.raw[INPUT] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.ISTRIP |
                             termios.IXON)
        self.raw[OUTPUT] &= ~termios.OPOST
        self.raw[LOCAL] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
        self.raw[KEYS][termios.VMIN], self.raw[KEYS][termios.VTIME] = 1, 0
        self.raw[KEYS][termios.VQUIT] = b"\0"  # Ctrl-\ would end us without a clean-up
        self.on_stop = signal.getsignal(signal.SIGTSTP)
        try:
            if self.on_stop == signal.SIG_DFL:
                signal.signal(signal.SIGTSTP, self._stop)
            self.on_continue = signal.signal(signal.SIGCONT, self._continue)
            self._take()
        except BaseException:
            self._give_back()
            raise
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGCONT, self.on_continue)
        signal.signal(signal.SIGTSTP, self.on_stop)
        self.show(PLAIN_AGAIN + b"\r\n" * self.in_line)
        self._give_back()

    def show(self, data):
        """Writes all of `data`."""
        self.in_line = not data.endswith(b"\n")
        while data:
            data = data[os.write(self.output, data):]

    def _take(self):
        termios.tcsetattr(self.input, termios.TCSANOW, self.raw)

    def _give_back(self):
        # Keys that the machine did not take are not for the shell either.
        termios.tcsetattr(self.input, termios.TCSAFLUSH, self.saved)

    def _stop(self, number, _):
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # here we stand still until SIGCONT
        signal.signal(number, self._stop)
        self._continue()  # who has no shell to stop for was not stopped

    def _continue(self, *_):
        if _in_foreground():
            self._take()


def _in_foreground():
    return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
