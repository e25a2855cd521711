# SPDX-License-Identifier: MIT
"""The command ./atoll: what it prints and how it ends."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from harness import BUILD, ROOT, image

import demos


@pytest.fixture
def atoll(tmp_path):
    """Runs ./atoll with these words; its temporary files go where pytest removes them."""
    environment = dict(os.environ, ATOLL_BUILD=str(BUILD), TMPDIR=str(tmp_path))

    def start(*words):
        return subprocess.Popen([ROOT / "atoll", *map(str, words)], env=environment, cwd=tmp_path,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(*words, timeout=120):
        process = start(*words)
        try:
            process.stdout_text, process.stderr_text = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return process

    run.start = start
    return run


def left_behind(directory):
    return [path.name for path in directory.iterdir() if path.name.startswith("atoll-")]


@pytest.mark.parametrize("words", [
    [], ["frobnicate"], ["run"], ["run", "--"], ["run", "--frobnicate", "--", "x"],
    ["run", "--cpus", "0", "--", "x"], ["run", "--cpus", "many", "--", "x"],
    ["run", "--cpus", "16", "--machine", "bochs", "--", "x"],
    ["run", "--machine", "toaster", "--", "x"], ["run", "--timeout", "-1", "--", "x"],
    ["run", "--uefi", "--machine", "bochs", "--", "x"], ["run", "--list"],
    ["run", "--", "/nonexistent.elf x"], ["run", "--", "it's"],
    ["run", "--cpu-model", "z80", "--machine", "bochs", "--", "/dev/null x"],
    ["demo", "frobnicate"], ["demo", "hello", "tour"],
    ["iso", "--", "x"], ["iso", "-o", "x.iso"], ["test", "frobnicate"],
], ids=" ".join)
def test_wrong_usage(atoll, words):
    process = atoll(*words)
    assert process.returncode == 2, process.stderr_text
    assert process.stderr_text.strip()
    assert process.stdout_text == ""


@pytest.mark.parametrize("words", [
    ["help"], ["--help"], ["help", "run"], ["demo", "--help"], ["run", "--help"],
    ["iso", "--help"], ["test", "--help"],
], ids=" ".join)
def test_help(atoll, words):
    process = atoll(*words)
    assert process.returncode == 0
    assert "./atoll" in process.stdout_text


def test_lists(atoll):
    process = atoll("demo", "--list")
    assert process.returncode == 0
    assert [line.split()[0] for line in process.stdout_text.splitlines()] == \
        [demo.name for demo in demos.read()]
    assert "boot" in atoll("test", "--list").stdout_text


def test_run_succeeds_and_writes_the_console(atoll, tmp_path):
    process = atoll("run", "--machine", "bochs", "--serial", tmp_path / "serial.txt", "--",
                    f"{image('hello')} a", f"{image('hello')} b")
    assert process.returncode == 0, process.stdout_text + process.stderr_text
    assert "all guests ended: 2 of 2 with status 0" in process.stdout_text
    assert (tmp_path / "serial.txt").read_text() == process.stdout_text
    assert left_behind(tmp_path) == []


def test_run_says_that_a_guest_failed(atoll):
    process = atoll("run", "--machine", "bochs", "--", f"{image('hello')} a",
                    f"{image('crash')} b cmdline=\"how=exit status=7\"")
    assert process.returncode == 1, process.stdout_text + process.stderr_text


def test_run_says_that_the_machine_was_refused(atoll):
    process = atoll("run", "--machine", "bochs", "--cpu-model", "ryzen", "--",
                    f"{image('hello')} a")
    assert process.returncode == 3, process.stdout_text + process.stderr_text


def test_timeout(atoll, tmp_path):
    start = time.monotonic()
    process = atoll("run", "--machine", "bochs", "--timeout", "5", "--",
                    f"{image('witness')} w cmdline=\"ms=100000000\"")
    assert process.returncode == 124, process.stdout_text + process.stderr_text
    assert 5 <= time.monotonic() - start < 60
    assert "stopped" in process.stderr_text
    kept, = left_behind(tmp_path)
    assert kept in process.stderr_text


def processes_that_name(path):
    """The command lines of running processes in which `path` stands."""
    found = []
    for command_line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command_line.read_text(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(path) in text:
            found.append(text.replace("\0", " "))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_emulator_too(atoll, tmp_path, number):
    process = atoll.start("run", "--machine", "bochs", "--", f"{image('witness')} w "
                          'cmdline="ms=100000000"')
    assert process.stdout.readline()  # the machine runs
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert left_behind(tmp_path) == []
    time.sleep(0.2)
    assert processes_that_name(tmp_path) == []


def boot_catalogue(iso):
    """The platforms of El Torito that an image boots on."""
    report = subprocess.run(["xorriso", "-indev", str(iso), "-report_el_torito", "plain"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=True)
    return {line.split()[6] for line in report.stdout.splitlines()
            if line.startswith("El Torito boot img :")}


@pytest.mark.parametrize("what", [["--", f"{image('hello')} a"], ["--demos"]],
                         ids=["guests", "demos"])
def test_iso_boots_both_ways(atoll, tmp_path, what):
    process = atoll("iso", "-o", tmp_path / "my image.iso", *what)
    assert process.returncode == 0, process.stderr_text
    assert boot_catalogue(tmp_path / "my image.iso") == {"BIOS", "UEFI"}


def test_no_package_is_missing_here(atoll, tmp_path):
    process = atoll("iso", "--no-install", "-o", tmp_path / "x.iso", "--", f"{image('hello')} a")
    assert process.returncode == 0, process.stderr_text
